package describe

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type (
	Base  struct{ ID int64 }
	Named string
	Item  struct {
		Name string `json:"name"`
		Qty  uint8  `json:"qty,omitempty"`
	}
	Tree struct {
		Value    int
		Children []*Tree
	}
	Forest map[string]Forest
	Order  struct {
		Base
		Items   []Item           `json:"items"`
		ByName  map[string]*Item `json:"by_name"`
		Note    *string          `json:",omitzero"`
		Count   int              `json:"count,string"`
		Label   string           `json:",string"`
		Blob    []byte
		Pair    [2]float64
		At      time.Time
		Wait    time.Duration
		From    netip.Addr
		Total   *big.Int
		Raw     json.RawMessage
		Any     any
		ByID    map[int]bool
		Secret  string `json:"-"`
		private int
		Kind    Named
		Inline  struct{ X, Y int }
	}

	// Two embedded structs with the same field at the same depth, one deeper.
	Left     struct{ Same, OnlyLeft int }
	Right    struct{ Same, OnlyRight int }
	Conflict struct {
		Left
		Right
	}
	Tagged struct {
		A int `json:"Same"`
		Left
	}
	TagWins struct {
		Left
		tagged
	}
	tagged struct {
		X int `json:"Same"`
	}
	Twice struct {
		Once
		Again
	}
	Once  struct{ Deep }
	Again struct{ Deep }
	Deep  struct{ D int }

	Loop   struct{ *Loop }
	Panics struct{}
	Exits  struct{}
	Hangs  struct{}
	Fails  struct{}
	Long   struct{}
	Odd    struct {
		C  complex128
		Ch chan int
		F  func()
	}
	Shape  interface{ Area() float64 }
	Shapes struct{ S Shape }
	Page   [3]Item
	Small  struct {
		I8  int8
		U16 uint16
		I64 int64
		U64 uint64
	}
	TextKey struct{ M map[netip.Addr]int }
)

func (Panics) MarshalJSON() ([]byte, error) { panic("no") }
func (Exits) MarshalJSON() ([]byte, error)  { runtime.Goexit(); return nil, nil }
func (Hangs) MarshalJSON() ([]byte, error)  { time.Sleep(time.Hour); return []byte("1"), nil }
func (Fails) MarshalJSON() ([]byte, error)  { return []byte("1"), errors.New("no") }
func (Long) MarshalJSON() ([]byte, error)   { return bytes.Repeat([]byte("1"), maxOwnExample+1), nil }

func pointer[T any](v T) *T { return &v }

// TestConforms checks that what encoding/json writes conforms to the schema, and that
// the example does and can be decoded.
func TestConforms(t *testing.T) {
	for _, samples := range [][]any{
		{0, -5}, {""}, {true}, {math.Pi}, {[]byte("x"), []byte(nil)}, {[]string{"a"}, []string(nil)}, {time.Now()},
		{map[string]int{"a": 1}, map[string]int(nil)}, {json.Number("12")}, {Named("x")}, {Base{7}},
		{Order{private: 1}, Order{Note: pointer("n"), Items: []Item{{"a", 1}, {}}, ByName: map[string]*Item{"x": nil, "y": {}},
			Blob: []byte{1}, Total: big.NewInt(5), Raw: json.RawMessage("[]"), Any: 1, ByID: map[int]bool{-1: true}}},
		{Tree{}, Tree{Children: []*Tree{nil, {Value: 1}}}},
		{Forest{"a": {"b": nil}}, Forest(nil)},
		{Conflict{}}, {Tagged{}}, {TagWins{}}, {Twice{}}, {Loop{}},
		{Page{}, Page{{"a", 1}}}, {[][]*int{{nil, pointer(1)}, nil}},
		{Small{math.MinInt8, math.MaxUint16, math.MinInt64, math.MaxUint64}},
		{TextKey{map[netip.Addr]int{netip.MustParseAddr("::1"): 1}}},
		{struct{ A, B int }{1, 2}}, {struct{}{}},
	} {
		typ := reflect.TypeOf(samples[0])
		t.Run(typ.String(), func(t *testing.T) {
			d := Of(typ)
			for _, v := range samples {
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				conforms(t, d.Schema, text)
			}
			conforms(t, d.Schema, d.Example)
			decoder := json.NewDecoder(bytes.NewReader(d.Example))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(reflect.New(typ).Interface()); err != nil {
				t.Errorf("the example %s: %v", d.Example, err)
			}
		})
	}
}

// TestProperties checks that a struct has the properties that encoding/json writes, in
// the same order.
func TestProperties(t *testing.T) {
	for _, v := range []any{Order{Note: pointer(""), Items: []Item{}}, Conflict{}, Tagged{}, TagWins{}, Twice{}, Loop{}, Small{}, struct{ X, x int }{}} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		decoder := json.NewDecoder(bytes.NewReader(text))
		for depth := 0; ; {
			token, err := decoder.Token()
			if err != nil {
				break
			}
			switch delim, _ := token.(json.Delim); delim {
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			default:
				if name, ok := token.(string); ok && depth == 1 {
					want = append(want, name)
					var skip json.RawMessage
					decoder.Decode(&skip)
				}
			}
		}
		for _, f := range fieldsOf(reflect.TypeOf(v)) {
			got = append(got, f.name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%T has %q, want %q", v, got, want)
		}
	}
}

// TestRandomStructs checks structs with all sorts of types and tags.
func TestRandomStructs(t *testing.T) {
	types := []reflect.Type{reflect.TypeFor[int](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](), reflect.TypeFor[*float64](),
		reflect.TypeFor[Left](), reflect.TypeFor[json.Number](), reflect.TypeFor[*bool](), reflect.TypeFor[**int](), reflect.TypeFor[time.Duration]()}
	tags := []reflect.StructTag{"", `json:"a"`, `json:"b,omitempty"`, `json:",string"`, `json:"-"`, `json:"-,"`, `json:"a b"`,
		`json:"a\"b"`, `json:"é,string"`, `json:"a,string,omitzero"`, `json:"F1"`, `json:"F0,string"`}
	for range 2000 {
		var fields []reflect.StructField
		for i := range rand.IntN(6) {
			fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(i), Type: types[rand.IntN(len(types))], Tag: tags[rand.IntN(len(tags))]})
		}
		typ := reflect.StructOf(fields)
		d := Of(typ)
		conforms(t, d.Schema, d.Example)
		v := reflect.New(typ)
		if err := json.Unmarshal(d.Example, v.Interface()); err != nil {
			t.Errorf("%v: the example %s: %v", typ, d.Example, err)
		}
		text, err := json.Marshal(v.Interface())
		if err != nil || string(text) != string(d.Example) { // all fields have values
			t.Errorf("%v: the example %s comes back as %s, %v", typ, d.Example, text, err)
		}
	}
}

// TestRefused checks that the schema excludes values that can't be decoded.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		v    any
		text string
	}{
		{0, `"1"`}, {"", "1"}, {Item{}, `{"name":1}`}, {Item{}, `[]`}, {Item{}, `{"qty":300}`}, {uint(0), "-1"},
		{map[int]int{}, `{"a":1}`}, {Odd{}, `{"C":1}`}, {Tree{}, `{"Children":[{"Value":""}]}`}, {[]int{}, `[1,"a"]`},
	} {
		if err := check(schemaOf(reflect.TypeOf(c.v)), []byte(c.text)); err == nil {
			t.Errorf("%s conforms to %T", c.text, c.v)
		}
	}
}

func TestGoText(t *testing.T) {
	for _, c := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[int](), "int"},
		{reflect.TypeFor[**Base](), "type describe.Base struct {\n    ID int64\n}"},
		{reflect.TypeFor[time.Time](), "time.Time"},
		{reflect.TypeFor[map[string][]byte](), "map[string][]byte"},
		{reflect.TypeFor[map[Named][]any](), "map[describe.Named][]any\n\ntype describe.Named string"},
		{reflect.TypeFor[Tree](), "type describe.Tree struct {\n    Value    int\n    Children []*describe.Tree\n}"},
		{reflect.TypeFor[Item](), "type describe.Item struct {\n    Name string `json:\"name\"`\n    Qty  uint8  `json:\"qty,omitempty\"`\n}"},
		{reflect.TypeFor[Conflict](), "type describe.Conflict struct {\n    describe.Left\n    describe.Right\n}\n\n" +
			"type describe.Left struct {\n    Same     int\n    OnlyLeft int\n}\n\ntype describe.Right struct {\n    Same      int\n    OnlyRight int\n}"},
		{reflect.TypeFor[struct {
			A int
			B []Named
		}](), "struct { A int; B []describe.Named }\n\ntype describe.Named string"},
		{reflect.TypeFor[Shapes](), "type describe.Shapes struct {\n    S describe.Shape\n}\n\ntype describe.Shape interface { Area() float64 }"},
		{reflect.TypeFor[Odd](), "type describe.Odd struct {\n    C  complex128\n    Ch chan int\n    F  func()\n}"},
		{reflect.TypeFor[struct{ x int }](), "struct{}"},
		{reflect.TypeFor[Panics](), "describe.Panics"},
	} {
		if got := Of(c.typ).Go; got != c.want {
			t.Errorf("%v is\n%s\nwant\n%s", c.typ, got, c.want)
		}
	}
}

// TestSameName: types that share a name are told apart.
func TestSameName(t *testing.T) {
	one := func() reflect.Type { type Local struct{ A int }; return reflect.TypeFor[Local]() }()
	two := func() reflect.Type { type Local struct{ B string }; return reflect.TypeFor[Local]() }()
	typ := reflect.StructOf([]reflect.StructField{{Name: "One", Type: one}, {Name: "Two", Type: two}})
	d := Of(typ)
	for _, text := range []string{`{"One":{"A":1},"Two":{"B":""}}`, string(d.Example)} {
		conforms(t, d.Schema, []byte(text))
	}
	if check(d.Schema, []byte(`{"One":{"A":""}}`)) == nil || check(d.Schema, []byte(`{"Two":{"B":1}}`)) == nil {
		t.Errorf("the types are mixed up: %s", d.Schema)
	}
	if strings.Count(d.Go, "\ntype ") != 2 {
		t.Errorf("not two declarations:\n%s", d.Go)
	}
}

// TestBounds: a description of a huge type is not huge, and is good JSON.
func TestBounds(t *testing.T) {
	deep := reflect.TypeFor[int]()
	for range 1000 {
		deep = reflect.SliceOf(deep)
	}
	for _, typ := range []reflect.Type{deep, reflect.TypeFor[W7]()} {
		d := Of(typ)
		if size := len(d.Go) + len(d.Schema) + len(d.Example); size > 32<<10 {
			t.Errorf("%.40v: %d bytes", typ, size)
		}
		conforms(t, d.Schema, d.Example)
		if !json.Valid(d.Schema) {
			t.Errorf("%.40v: bad schema", typ)
		}
	}
}

// W7 has 8 to the power of 7 integers.
type (
	W7 struct{ A, B, C, D, E, F, G, H W6 }
	W6 struct{ A, B, C, D, E, F, G, H W5 }
	W5 struct{ A, B, C, D, E, F, G, H W4 }
	W4 struct{ A, B, C, D, E, F, G, H W3 }
	W3 struct{ A, B, C, D, E, F, G, H W2 }
	W2 struct{ A, B, C, D, E, F, G, H W1 }
	W1 struct{ A, B, C, D, E, F, G, H int }
)

// TestEncodersThatFail: the example of a type whose method panics, ends its goroutine,
// hangs or fails is null, and that of one with too much to say.
func TestEncodersThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, typ := range []reflect.Type{reflect.TypeFor[Panics](), reflect.TypeFor[Exits](), reflect.TypeFor[Hangs](), reflect.TypeFor[Fails](), reflect.TypeFor[Long]()} {
			if d := Of(typ); string(d.Example) != "null" {
				t.Errorf("that of %v is %s", typ, d.Example)
			}
		}
		time.Sleep(2 * time.Hour) // in the bubble: until Hangs has ended
	})
}

func conforms(t *testing.T, schema, text []byte) {
	t.Helper()
	if err := check(schema, text); err != nil {
		t.Errorf("%s does not conform: %v\n%s", text, err, schema)
	}
}
