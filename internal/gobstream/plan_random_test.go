package gobstream

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
)

type (
	zooName  string
	zooBytes []byte

	zooInner struct {
		A      int
		hidden int //lint:ignore U1000 gob leaves such a field alone
		Names  []zooName
	}
	zooEmbedded struct{ E1, E2 int }

	// zooTree and zooForest hold themselves, and each other.
	zooTree struct {
		N      int
		Left   *zooTree
		Others []zooTree
		ByName map[zooName]*zooTree
		In     zooForest
		When   *time.Time
	}
	zooForest map[string]zooForest

	// zooValue has something of each kind of type that a plan handles.
	zooValue struct {
		ID       int64
		At       time.Time
		Customer *struct {
			Name    string
			Address zooInner
		}
		Lines []struct {
			SKU   string
			Qty   int
			Price float64
			Tags  []string
		}
		Labels map[string]string
		ByID   map[int32]*zooInner
		Array  [3]uint8
		Points [2][]zooInner
		Deep   [][]map[zooName][]int
		Total  *big.Int
		URL    url.URL
		Addr   netip.Addr
		Maybe  **int
		Z      complex64
		Raw    zooBytes
		Chan   chan int
		Func   func()
		zooEmbedded
		Ptr  uintptr
		Tree zooTree
		Host map[zooName]zooName
	}
)

// A maker makes random types, and values of any type.
type maker struct{ *rand.Rand }

var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uintptr](), reflect.TypeFor[float32](),
	reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](), reflect.TypeFor[string](),
	reflect.TypeFor[zooName](), reflect.TypeFor[[]byte](), reflect.TypeFor[zooBytes](), reflect.TypeFor[time.Time](),
	reflect.TypeFor[*time.Time](), reflect.TypeFor[*big.Int](), reflect.TypeFor[url.URL](), reflect.TypeFor[*url.URL](), reflect.TypeFor[netip.Addr](),
	reflect.TypeFor[zooInner](), reflect.TypeFor[zooTree](), reflect.TypeFor[*zooForest](), reflect.TypeFor[zooValue](), reflect.TypeFor[chan int](),
}

var keys = []reflect.Type{
	reflect.TypeFor[string](), reflect.TypeFor[int32](), reflect.TypeFor[zooName](), reflect.TypeFor[[2]int8](), reflect.TypeFor[zooEmbedded](), reflect.TypeFor[netip.Addr](),
}

func (m maker) typeOf(depth int) reflect.Type {
	if depth == 0 {
		return leaves[m.IntN(len(leaves))]
	}
	switch m.IntN(7) {
	case 0:
		return reflect.PointerTo(m.typeOf(depth - 1))
	case 1:
		return reflect.SliceOf(m.typeOf(depth - 1))
	case 2:
		return reflect.ArrayOf(m.IntN(3), m.typeOf(depth-1))
	case 3:
		return reflect.MapOf(keys[m.IntN(len(keys))], m.typeOf(depth-1))
	case 4:
		return m.typeOf(0)
	}
	return m.structOf(depth)
}

func (m maker) structOf(depth int) reflect.Type {
	var fields []reflect.StructField
	for i := range 1 + m.IntN(5) {
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("F", i), Type: m.typeOf(depth - 1)})
	}
	return reflect.StructOf(fields)
}

// like returns a type that a peer with another version of t may have.
func (m maker) like(t reflect.Type, depth int) reflect.Type {
	if t.Kind() != reflect.Struct || t.Name() != "" {
		return t
	}
	var fields []reflect.StructField
	for _, i := range m.Perm(t.NumField()) {
		f := t.Field(i)
		f.Type = m.like(f.Type, depth-1)
		switch m.IntN(8) {
		case 0:
			continue
		case 1:
			f.Type = m.typeOf(0)
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: f.Type})
	}
	return reflect.StructOf(fields)
}

// fill gives v a random value. A map gets one entry at most, so that there is one way
// to encode it.
func (m maker) fill(v reflect.Value, element bool) {
	if m.IntN(4) == 0 && !element {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = time.Unix(m.Int64N(1e9), m.Int64N(1e9)).UTC()
		return
	case *big.Int:
		p.SetInt64(m.Int64() - 1<<62)
		return
	case *url.URL:
		p.Host, p.Path = "host", fmt.Sprint("/", m.IntN(100))
		return
	case *zooTree:
		*p = m.tree(3)
		return
	case *zooForest:
		*p = zooForest{"a": {"b": nil}}
		return
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{byte(m.IntN(256)), 2, 3, 4})
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(m.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(m.Int64() >> m.IntN(64))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(m.Uint64() >> m.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(m.NormFloat64())
	case reflect.Complex64, reflect.Complex128:
		v.SetComplex(complex(m.NormFloat64(), m.NormFloat64()))
	case reflect.String:
		v.SetString(fmt.Sprint(m.Int64() >> m.IntN(64)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		m.fill(v.Elem(), element)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), m.IntN(4), 4))
		for i := range v.Len() {
			m.fill(v.Index(i), true)
		}
	case reflect.Array:
		for i := range v.Len() {
			m.fill(v.Index(i), true)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if m.IntN(3) > 0 {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			m.fill(key, true)
			m.fill(elem, true)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				m.fill(v.Field(i), false)
			}
		}
	}
}

func (m maker) tree(depth int) (t zooTree) {
	t.N = m.IntN(10)
	if depth == 0 {
		return t
	}
	if m.IntN(2) == 0 {
		t.Left = ref(m.tree(depth - 1))
	}
	for range m.IntN(3) {
		t.Others = append(t.Others, m.tree(depth-1))
	}
	if m.IntN(2) == 0 {
		t.ByName = map[zooName]*zooTree{"n": ref(m.tree(depth - 1))}
	}
	m.fill(reflect.ValueOf(&t.In).Elem(), false)
	m.fill(reflect.ValueOf(&t.When).Elem(), false)
	return t
}

// pair is a stream as gob has it, and as we do.
type pair struct {
	out bytes.Buffer
	enc *gob.Encoder
	w   Writer

	in  bytes.Buffer
	dec *gob.Decoder
	r   Reader
}

func newPair() *pair {
	p := new(pair)
	p.enc, p.dec = gob.NewEncoder(&p.out), gob.NewDecoder(&p.in)
	return p
}

// write compares what both write for v, which is a pointer, and returns it. It reports
// false if gob can't encode v, and we can't either.
func (p *pair) write(t *testing.T, v any) (written []byte, ok bool) {
	t.Helper()
	p.out.Reset()
	wantErr := p.encode(v)
	got, err := p.w.Append(nil, v, 0)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%T: error %v, gob's is %v", v, err, wantErr)
	}
	if err != nil {
		return nil, false
	}
	p.w.Sent(got)
	if !bytes.Equal(got, p.out.Bytes()) {
		t.Fatalf("%T: wrote\n%x\ngob writes\n%x", v, got, p.out.Bytes())
	}
	return got, true
}

// encode has gob encode v. A nil pointer that encodes itself may panic.
func (p *pair) encode(v any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panicked: %v", r)
		}
	}()
	return p.enc.Encode(v)
}

// read compares what both read into a and b, pointers to equal values.
func (p *pair) read(t *testing.T, written []byte, a, b any) (ok bool) {
	t.Helper()
	p.in.Write(written)
	wantErr := p.dec.Decode(b)
	err := p.r.Decode(written, a)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%T: error %v, gob's is %v", a, err, wantErr)
	}
	if err == nil && !reflect.DeepEqual(a, b) {
		t.Fatalf("%T: read\n%+v\ngob reads\n%+v", a, reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
	}
	return err == nil
}

// Types and values made at random are written as gob writes them, and read as gob reads
// them, into empty values and into others; and so are those of a peer whose types differ.
func TestGobPlan_Random(t *testing.T) {
	const types, values = 400, 6
	planned, differing := 0, 0
	for seed := range uint64(types) {
		m := maker{rand.New(rand.NewPCG(1, seed))}
		ours := m.structOf(3)
		if seed%4 == 0 {
			ours = m.typeOf(3)
		}
		if k := ours.Kind(); k == reflect.Chan || k == reflect.Pointer || seed == 0 {
			ours = reflect.TypeFor[zooValue]()
		}
		theirs := m.like(ours, 3)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			same, other := newPair(), newPair()
			for range values {
				v := reflect.New(ours)
				m.fill(v.Elem(), true)
				written, ok := same.write(t, v.Interface())
				if !ok {
					return
				}
				a, b := reflect.New(ours), reflect.New(ours)
				if m.IntN(2) == 0 {
					state := m.Uint64()
					for _, to := range []reflect.Value{a, b} {
						maker{rand.New(rand.NewPCG(state, 0))}.fill(to.Elem(), true)
					}
				}
				if !same.read(t, written, a.Interface(), b.Interface()) {
					t.Fatalf("%s: gob can't read what it writes", ours)
				}
				if theirs.Kind() != reflect.Struct || theirs.NumField() == 0 {
					continue
				}
				if other.read(t, written, reflect.New(theirs).Interface(), reflect.New(theirs).Interface()) && other.r.lastPlan != nil {
					differing++
				}
			}
			if same.w.last.id != 0 && same.r.lastPlan != nil {
				planned++
			}
		})
	}
	t.Log(planned, "of", types, "types have a plan;", differing, "values of other types were read by one")
	if planned < types/2 || differing < types {
		t.Error("too few plans to say much")
	}
}
