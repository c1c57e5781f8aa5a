package gobstream

import (
	"bytes"
	"encoding/gob"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
)

func newZoo() *zooValue {
	z := &zooValue{ID: 1 << 40, At: time.Unix(1e9, 5).UTC(), Labels: map[string]string{"a": "b"},
		ByID: map[int32]*zooInner{7: {A: -1, Names: []zooName{"n"}}}, Array: [3]uint8{1, 0, 200},
		Deep: [][]map[zooName][]int{{{"x": {1, 2}}, nil}, {}}, Total: big.NewInt(-5), URL: url.URL{Host: "h"},
		Addr: netip.MustParseAddr("::1"), Maybe: ref(ref(3)), Z: 1 + 2i, Raw: zooBytes("raw"), Ptr: 9}
	z.Tree = zooTree{N: 1, Left: &zooTree{N: 2}, Others: make([]zooTree, 2), ByName: map[zooName]*zooTree{"t": {N: 3}}, In: zooForest{"f": nil}}
	z.Host = map[zooName]zooName{"k": "v"}
	z.Points[1] = []zooInner{{A: 4}, {}}
	z.Lines = append(z.Lines, struct {
		SKU   string
		Qty   int
		Price float64
		Tags  []string
	}{"sku", 2, 0.5, []string{"", "t"}})
	return z
}

// FuzzGobPlan compares what plans read with what gob reads, of whatever a peer may send
// for a type that it has defined; and what plans write of it with what gob writes.
func FuzzGobPlan(f *testing.F) {
	values := []any{plainValue{}, newZoo(), map[string]zooInner{"k": {A: 1}}}
	var definitions [][]byte
	var readers []*Reader // that know the types; plans leave them as they are
	for i, v := range values {
		definitions = append(definitions, encoded(f, v)[0])
		readers = append(readers, readerOf(f, definitions[i], typeOf(v)))
		f.Add(uint8(i), encoded(f, v, v)[1])
	}
	for _, v := range plainValues[1:5] {
		f.Add(uint8(0), encoded(f, plainValue{}, v)[1])
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		i := int(which) % len(values)
		of := typeOf(values[i])
		if _, next, err := (sections{src: (*complete)(&data)}).at(0); err != nil || next != len(data) {
			return
		}
		got, want := reflect.New(of), reflect.New(of)
		if !readers[i].decodePlanned(data, got.Interface()) {
			return
		}
		gobs := readerOf(t, definitions[i], of)
		gobs.lastPlan = nil // and so gob decodes the same section
		if err := gobs.Decode(data, want.Interface()); err != nil {
			t.Fatalf("read %+v, gob says %v", got.Elem(), err)
		}
		a, b := encodedAgain(t, got), encodedAgain(t, want) // NaN equals nothing
		if !reflect.DeepEqual(got.Interface(), want.Interface()) && !bytes.Equal(a, b) {
			t.Fatalf("read\n%+v\ngob reads\n%+v", got.Elem(), want.Elem())
		}
		ours, theirs := decodedByGob(t, of, written(t, got)), decodedByGob(t, of, encoded(t, got.Interface(), got.Interface()))
		a, b = encodedAgain(t, ours), encodedAgain(t, theirs)
		if !reflect.DeepEqual(ours.Interface(), theirs.Interface()) && !bytes.Equal(a, b) {
			t.Fatalf("wrote\n%+v\ngob writes\n%+v", ours.Elem(), theirs.Elem())
		}
	})
}

func typeOf(v any) reflect.Type {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// readerOf returns a Reader of a stream that begins with a value of a type.
func readerOf(t testing.TB, first []byte, of reflect.Type) *Reader {
	r := new(Reader)
	if err := r.Decode(first, reflect.New(of).Interface()); err != nil {
		t.Fatal(err)
	}
	return r
}

// written returns what a Writer writes for v, twice: the second one is its plan's.
func written(t *testing.T, v reflect.Value) (stream [][]byte) {
	var w Writer
	for range 2 {
		data, err := w.Append(nil, v.Interface(), 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Sent(data)
		stream = append(stream, data)
	}
	return stream
}

// decodedByGob returns a pointer to the last value of a stream.
func decodedByGob(t *testing.T, of reflect.Type, stream [][]byte) (v reflect.Value) {
	dec := gob.NewDecoder(bytes.NewReader(bytes.Join(stream, nil)))
	for range stream {
		v = reflect.New(of)
		if err := dec.DecodeValue(v); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func encodedAgain(t *testing.T, v reflect.Value) []byte { return encoded(t, v.Interface())[0] }
