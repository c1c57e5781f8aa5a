package gobstream

import (
	"bytes"
	"encoding/gob"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

type (
	plainName string
	plainInt  int16

	// plainValue has a field of every kind that a plan handles.
	plainValue struct {
		Bool   bool
		Int    int
		Int8   int8
		Named  plainInt
		hidden int
		Int64  int64
		Uint   uint
		Uint8  uint8
		Uint64 uint64
		F32    float32
		F64    float64
		Name   plainName
		Bytes  []byte
	}

	ownByte     byte
	ownBytes    []ownByte
	withDecoder struct{ N int }
)

func (withDecoder) GobDecode([]byte) error { return nil }

var plainValues = []plainValue{
	{},
	{Bool: true, Int: 1, Int8: -1, Named: 300, hidden: 5, Int64: math.MinInt64, Uint: 127, Uint8: 128,
		Uint64: math.MaxUint64, F32: 1.5, F64: -2.25, Name: "n", Bytes: []byte{0}},
	{Int: math.MaxInt, Int8: math.MinInt8, F64: math.Inf(-1), F32: math.MaxFloat32},
	{F64: math.Copysign(0, -1), Bytes: []byte{}},
	{F64: math.SmallestNonzeroFloat64, Int64: -64, Int: 64, Named: -65},
	{Bytes: bytes.Repeat([]byte{1}, 70000)},
}

// encoded returns what a gob.Encoder writes for each value.
func encoded(t testing.TB, values ...any) (written [][]byte) {
	t.Helper()
	var out bytes.Buffer
	enc := gob.NewEncoder(&out)
	for _, v := range values {
		out.Reset()
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		written = append(written, bytes.Clone(out.Bytes()))
	}
	return written
}

func TestGobPlan_WritesWhatGobWrites(t *testing.T) {
	values := make([]any, 0, 300)
	for _, v := range plainValues {
		values = append(values, v)
	}
	for n := range 280 { // lengths around those of one byte and of two
		values = append(values, plainValue{Name: plainName(strings.Repeat("x", n))})
	}
	want := encoded(t, values...)
	var w Writer
	for i, v := range values {
		got, err := w.Append(nil, v, 0)
		w.Sent(got)
		if err != nil || !bytes.Equal(got, want[i]) {
			t.Fatalf("value %d, %+v: wrote\n%x, %v\ngob writes\n%x", i, v, got, err, want[i])
		}
	}
	if w.last.plan == nil {
		t.Error("there is no plan")
	}
}

func TestGobPlan_ReadsWhatGobReads(t *testing.T) {
	var w Writer
	var r Reader
	for i, v := range plainValues {
		data, err := w.Append(nil, &v, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Sent(data)
		var got plainValue
		if err := r.Decode(data, &got); err != nil {
			t.Fatalf("value %d: %v", i, err)
		}
		want := v
		want.hidden = 0
		if want.F64 == 0 {
			want.F64 = 0 // gob leaves -0 out
		}
		if len(want.Bytes) == 0 {
			want.Bytes = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("value %d: got %+v, want %+v", i, got, want)
		}
	}
	if r.lastPlan == nil {
		t.Error("there is no plan")
	}
}

// What has no plan is left to gob.
func TestGobPlan_LeavesTheRest(t *testing.T) {
	at := time.Unix(5, 0).UTC()
	if planOf(reflect.TypeFor[withDecoder]()) != nil {
		t.Error("there is a plan for a type that decodes itself but does not encode itself")
	}
	for _, v := range []any{
		struct{ Any any }{7}, map[string]any{"a": 1}, struct{ Next *struct{ Any any } }{}, ownBytes{1, 2},
		struct{ At **time.Time }{ref(&at)},
	} {
		var w Writer
		var r Reader
		for range 2 {
			data, err := w.Append(nil, v, 0)
			if err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			w.Sent(data)
			got, want := reflect.New(reflect.TypeOf(v)), reflect.New(reflect.TypeOf(v))
			if err := r.Decode(data, got.Interface()); err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if err := gob.NewDecoder(bytes.NewReader(encoded(t, v)[0])).DecodeValue(want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%.60T: got %+v, gob gets %+v", v, got.Elem(), want.Elem())
			}
		}
		if w.last.plan != nil || r.lastPlan != nil {
			t.Errorf("%.60T: there is a plan", v)
		}
	}
}

func ref[T any](v T) *T { return &v }

// Peers' types may differ, as they may with gob.
func TestGobPlan_OtherTypes(t *testing.T) {
	type theirs struct {
		B, A int
		P    [][3]int
	}
	type (
		more   struct{ A, B, C int }
		fewer  struct{ A int }
		narrow struct{ A, B int8 }
		other  struct{ A, B string }
		hidden struct{ A, b int } //lint:ignore U1000 gob leaves such a field alone
		none   struct{ X int }
		Part   struct{ A, B int }
		parts  struct{ Part }
		longer struct {
			A int
			P [][4]int
		}
	)
	written := encoded(t, theirs{B: 1, A: 2}, theirs{B: 200, A: 300})
	for _, to := range []any{more{C: 9}, fewer{}, narrow{}, other{}, hidden{}, none{}, parts{}, longer{}} {
		var r Reader
		dec := gob.NewDecoder(bytes.NewReader(bytes.Join(written, nil)))
		for i := range written {
			got, want := reflect.New(reflect.TypeOf(to)), reflect.New(reflect.TypeOf(to))
			got.Elem().Set(reflect.ValueOf(to))
			want.Elem().Set(reflect.ValueOf(to))
			err, wantErr := r.Decode(written[i], got.Interface()), dec.DecodeValue(want)
			if (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
				t.Errorf("%T, value %d: error %v, gob's is %v", to, i, err, wantErr)
			}
			if !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%T, value %d: got %+v, gob gets %+v", to, i, got.Elem(), want.Elem())
			}
		}
	}
}

// A peer can define types that no Go program has.
func TestGobPlan_InventedTypes(t *testing.T) {
	for _, field := range []struct {
		name string
		id   int
	}{{"hidden", intID}, {"Hidden", intID}, {"", intID}, {"P", 0}, {"Int", uintID}, {"Bytes", 70}} {
		s := schema{types: map[int]*typeDef{65: {kind: structKind, names: []string{field.name}, parts: []int{field.id}}}}
		for _, ours := range []any{plainValue{}, struct{ P *int }{}} {
			if (&converter{schema: &s}).plan(planOf(reflect.TypeOf(ours)), 65) != nil {
				t.Errorf("there is a plan for field %q of type %d and %T", field.name, field.id, ours)
			}
		}
	}
}

// Memory that a reply brings along is used, as gob does.
func TestGobPlan_BytesInPlace(t *testing.T) {
	type message struct{ Data []byte }
	var r Reader
	for _, data := range encoded(t, message{[]byte("abcd")}, message{[]byte("ef")}) {
		memory := make([]byte, 1, 8)
		got := message{memory}
		if err := r.Decode(data, &got); err != nil {
			t.Fatal(err)
		}
		if &got.Data[0] != &memory[0] {
			t.Errorf("%q is in other memory", got.Data)
		}
	}
}

// Short slices of strings share memory, and nothing else: to append to one leaves the
// others alone.
func TestPlan_ShortSlices(t *testing.T) {
	type tagged struct{ A, B, C []string }
	want := tagged{[]string{"a"}, []string{"b", "c"}, []string{"d", "e", "f", "g", "h"}}
	var got tagged
	var r Reader
	for _, message := range encoded(t, want, want) {
		got = tagged{}
		if err := r.Decode(message, &got); err != nil {
			t.Fatal(err)
		}
	}
	got.A = append(got.A, "x", "y")
	if got.B = append(got.B, "z"); !slices.Equal(got.A, []string{"a", "x", "y"}) || !slices.Equal(got.B, []string{"b", "c", "z"}) || !slices.Equal(got.C, want.C) {
		t.Errorf("%q", got)
	}
}
