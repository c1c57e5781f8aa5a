package codec_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
)

type (
	pair     struct{ A, B int }
	Embedded struct{ A, B int }
	tagged   struct {
		First   int    `json:"first"`
		Skipped int    `json:"-"`
		Second  int    `json:",omitzero"`
		Quoted  int    `json:"q,string"`
		Rest    string `json:",omitempty"`
		_       int
	}
	embedding struct {
		Name string
		Embedded
		Last int
	}
	pointing struct {
		*Embedded
		A int // hides that of Embedded
	}
	closed struct {
		Embedded `json:"embedded"`
		C        int
	}
	Itself struct {
		*Itself
		N int
	}
	inOut struct {
		In   pair
		Rest int
	}
	upper string // decodes itself
)

func (u *upper) UnmarshalJSON(data []byte) error {
	*u = upper(strings.ToUpper(string(data)))
	return nil
}

// TestJSONRPCParams decodes params into arguments of many types.
func TestJSONRPCParams(t *testing.T) {
	tests := []struct {
		name, params string
		argument     any // zero, of the type to decode into
		want         any // nil: an error
	}{
		{"none", ``, pair{}, pair{}},
		{"null", `null`, pair{}, pair{}},
		{"no elements", `[]`, pair{}, pair{}},
		{"no elements, a number", ` [ ] `, 0, 0},
		{"an object", `{"B":2,"A":1,"C":3}`, pair{}, pair{1, 2}},
		{"an object, a map", `{"x":1}`, map[string]int(nil), map[string]int{"x": 1}},
		{"an object, an interface", `{"x":1}`, any(nil), map[string]any{"x": 1.0}},
		{"an object, a number", `{"x":1}`, 0, nil},
		{"text", `"x"`, "", nil},
		{"a number", `5`, 0, nil},

		{"one object", `[{"A":1,"B":2}]`, pair{}, pair{1, 2}},
		{"one object with a field that does not fit", `[{"A":1,"B":"x"}]`, pair{}, nil},
		{"one object, also for the first field", `[{"A":1,"Rest":"x"}]`, inOut{}, nil},
		{"one number", `[5]`, 0, 5},
		{"one number, text", `[5]`, "", nil},
		{"one text", `["x"]`, "", "" + "x"},
		{"one null", `[null]`, pair{}, pair{}},
		{"one list", `[[1,2]]`, []int(nil), []int{1, 2}},
		{"one list of lists", `[[[1],[2]]]`, [][]int(nil), [][]int{{1}, {2}}},
		{"one list, an element", `[[1,2]]`, [][]int(nil), [][]int{{1, 2}}},
		{"one list, an interface", `[[1,2]]`, any(nil), []any{1.0, 2.0}},
		{"one time", `["2024-01-02T03:04:05Z"]`, time.Time{}, time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
		{"one big number", `[12345678901234567890123]`, big.Int{}, nil}, // see below
		{"one address", `["10.0.0.1"]`, netip.Addr{}, netip.MustParseAddr("10.0.0.1")},
		{"one that decodes itself", `[{"a":1}]`, upper(""), upper(`{"A":1}`)},
		{"one element", `[5]`, []int(nil), []int{5}},
		{"one element of an array", `[5]`, [2]int{}, [2]int{5}},
		{"one field", `[5]`, pair{}, pair{A: 5}},
		{"one field that does not fit", `["x"]`, pair{}, nil},
		{"one struct field", `[[1,2]]`, inOut{}, nil},

		{"fields", `[1,2]`, pair{}, pair{1, 2}},
		{"fields that do not fit", `[1,"x"]`, pair{}, nil},
		{"a field too many", `[1,2,3]`, pair{}, nil},
		{"null for a field", `[null,2]`, pair{}, pair{0, 2}},
		{"fields with tags", `[1,2,"3","x"]`, tagged{}, tagged{First: 1, Second: 2, Quoted: 3, Rest: "x"}},
		{"a field too many with tags", `[1,2,"3","x",5]`, tagged{}, nil},
		{"embedded fields", `["n",1,2,3]`, embedding{}, embedding{"n", Embedded{1, 2}, 3}},
		{"an embedded pointer", `[2,1]`, pointing{}, pointing{&Embedded{B: 2}, 1}},
		{"an embedded struct with a name", `[{"A":1,"B":2},3]`, closed{}, closed{Embedded{1, 2}, 3}},
		{"a struct that embeds itself", `[1]`, Itself{}, Itself{N: 1}},
		{"elements", `[1,2,3]`, []int(nil), []int{1, 2, 3}},
		{"elements of two types", `[1,"x"]`, []int(nil), nil},
		{"elements of an array", `[1,2]`, [2]int{}, [2]int{1, 2}},
		{"an element too many", `[1,2,3]`, [2]int{}, nil},
		{"an interface", `[1,"x"]`, any(nil), []any{1.0, "x"}},
		{"two numbers, one number", `[1,2]`, 0, nil},
		{"two, a map", `[1,2]`, map[string]int(nil), nil},
		{"two, a type that decodes itself", `["a","b"]`, upper(""), upper(`["A","B"]`)},
		{"two, a time", `["2024-01-02T03:04:05Z",1]`, time.Time{}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := reflect.New(typeOf(test.argument))
			err := decodeParams(t, `"jsonrpc":"2.0",`, test.params, got.Interface())
			if test.name == "one big number" {
				if n := got.Interface().(*big.Int); err != nil || n.String() != "12345678901234567890123" {
					t.Errorf("%v, %v", n, err)
				}
				return
			}
			switch {
			case test.want == nil && err == nil:
				t.Errorf("%s became %+v, want an error", test.params, got.Elem())
			case test.want != nil && (err != nil || !reflect.DeepEqual(got.Elem().Interface(), test.want)):
				t.Errorf("%s became %+v, %v; want %+v", test.params, got.Elem(), err, test.want)
			}
		})
	}
}

// typeOf returns the type of v, or that of an interface for nil.
func typeOf(v any) reflect.Type {
	if v == nil {
		return reflect.TypeFor[any]()
	}
	return reflect.TypeOf(v)
}

// decodeParams has a server read a request with params, none if they are empty.
func decodeParams(t *testing.T, version, params string, argument any) error {
	t.Helper()
	if params != "" {
		params = `,"params":` + params
	}
	const next = `{"jsonrpc":"2.0","method":"next"}`
	c := codec.NewJSONRPCServer(half{strings.NewReader(`{` + version + `"method":"x"` + params + `,"id":1}` + next), io.Discard})
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil || h.ServiceMethod != "x" {
		t.Fatalf("%+v, %v", h, err)
	}
	err := c.ReadBody(argument)
	if again := c.ReadHeader(&h); again != nil || h.ServiceMethod != "next" {
		t.Fatalf("behind %s: %+v, %v", params, h, again)
	}
	return err
}

// In dialect 1.0, params are decoded as net/rpc/jsonrpc does it.
func TestJSONRPCParams_1(t *testing.T) {
	for _, params := range []string{`[{"A":1,"B":2}]`, `[{"A":1},5]`, `[]`, `[null]`, `{"A":1}`, `[5]`, `[1,2]`, `"x"`, `[[1,2]]`, `[{"A":"x"}]`} {
		for _, argument := range []any{pair{}, []int(nil), 0, "", nil} {
			got, want := reflect.New(typeOf(argument)), reflect.New(typeOf(argument))
			err := decodeParams(t, "", params, got.Interface())
			wantErr := json.Unmarshal([]byte(params), &[1]any{want.Interface()})
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%s became %+v, %v; want %+v, %v", params, got.Elem(), err, want.Elem(), wantErr)
			}
		}
	}
}

// What is wrong with params is said in terms of the argument.
func TestJSONRPCParams_Errors(t *testing.T) {
	tests := []struct {
		params   string
		argument any
		want     string
	}{
		{`[1,"x"]`, new(pair), "pair.B of type int"},
		{`["x"]`, new(pair), "pair.A of type int"},
		{`[1,2,3]`, new(pair), "more params than the 2 fields of codec_test.pair"},
		{`["x"]`, new(int), "string into Go value of type int"},
		{`[1,2]`, new(int), "array into Go value of type int"},
		{`7`, new(int), "params must be an object or a list"},
	}
	for _, test := range tests {
		if err := decodeParams(t, `"jsonrpc":"2.0",`, test.params, test.argument); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.params, err, test.want)
		}
	}
}
