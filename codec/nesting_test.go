package codec_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"testing"

	"geerpc/codec"
)

type (
	list  struct{ Next *list }
	graph struct {
		Name  string
		Edges []*graph
	}
	twin    struct{ A, B *twin }
	mesh    struct{ M map[string]*mesh }
	keyed   struct{ M map[[1]any]int }
	outer   struct{ Inner *inner }
	inner   struct{ Outer []outer }
	slices  []slices
	pointer *pointer
)

func init() {
	for _, v := range []any{list{}, graph{}, twin{}, mesh{}, slices{}, []any{}, map[string]any{}, [1]any{}} {
		gob.Register(v)
	}
}

func newList(n int) (head *list) {
	for range n {
		head = &list{head}
	}
	return head
}

// cycles returns values that hold themselves.
func cycles() map[string]any {
	l := &list{}
	l.Next = &list{l}
	g := &graph{Name: "a"}
	g.Edges = []*graph{{Name: "b"}, {Name: "c", Edges: []*graph{g}}}
	m := &mesh{M: make(map[string]*mesh)}
	m.M["self"] = m
	o := &outer{&inner{make([]outer, 1)}}
	o.Inner.Outer[0] = *o
	s := slices{nil}
	s[0] = s
	b := &box{}
	b.Any = b
	anys := []any{nil}
	anys[0] = anys
	named := map[string]any{}
	named["self"] = named
	array := &[1]any{}
	array[0] = array
	key := &box{}
	key.Any = keyed{map[[1]any]int{{key}: 1}}
	var face any
	face = &face
	return map[string]any{
		"pointers": l, "a child that points to its parent": g, "map": m, "two types": o, "slice": s,
		"interface": b, "interfaces in a slice": anys, "interfaces in a map": named, "array": array, "key": key,
		"behind others":           carrier{Leaf: &plain{}, First: leaf{1}, Then: boxes{List: []any{1, b}}},
		"pointer to an interface": face,
	}
}

// TestC128_ValueThatHoldsItself writes values that have no end. Gob would follow
// them until the stack is used up, which ends the process.
func TestC128_ValueThatHoldsItself(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		for name, v := range cycles() {
			t.Run(name, func(t *testing.T) {
				conn := new(tape)
				c := l.open(conn)
				for range 2 {
					err := c.Write(new(codec.Header), v)
					wantIs(t, err, codec.ErrTooDeep)
					if conn.Len() > 0 || conn.closed {
						t.Fatalf("%d bytes were written, closed: %t", conn.Len(), conn.closed)
					}
					send(t, c, boxes{List: []any{leaf{1}}})
					receive[boxes](t, c)
				}
			})
		}
		var p pointer
		p = &p
		if err := l.open(new(tape)).Write(new(codec.Header), p); err == nil {
			t.Error("a pointer to itself was written")
		}
	})
}

// TestC128_DeepValues writes values around the limit. A reader takes all that a
// writer sends. A million elements are refused.
func TestC128_DeepValues(t *testing.T) {
	nested := func(n int) (v any) {
		for range n {
			v = []any{v}
		}
		return v
	}
	builds := []func(n int) any{
		func(n int) any { return *newList(n) },
		func(n int) any { return boxes{List: []any{nested(n)}} },
	}
	for _, build := range builds {
		var passed, refused int
		for _, n := range []int{100, 4995, 4996, 4997, 4998, 4999, 5000, 9997, 9998, 9999, 10_000, 10_001, 10_002, 1_000_000} {
			v := build(n)
			each(t, gobLayouts, func(t *testing.T, l layout) {
				c := l.open(new(tape))
				if err := c.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, v); err != nil {
					wantIs(t, err, codec.ErrTooDeep)
					refused++
					return
				}
				passed++
				readHeader(t, c)
				if err := c.ReadBody(zero(v)); err != nil {
					t.Fatalf("%T of %d: %v", v, n, err)
				}
			})
		}
		if passed < 4 || refused < 4 {
			t.Errorf("%d passed, %d were refused: the limit is elsewhere", passed, refused)
		}
	}
}

// TestC128_ManyPaths writes a value of 60 elements that are reached in 2⁶⁰ ways.
func TestC128_ManyPaths(t *testing.T) {
	var v *twin
	for range 60 {
		v = &twin{v, v}
	}
	each(t, gobLayouts, func(t *testing.T, l layout) {
		for _, v := range []any{v, box{v}, map[string]any{"v": v}} {
			wantIs(t, l.writer(1<<16).Write(new(codec.Header), v), codec.ErrTooLarge)
		}
	})
}

// TestC128_NilInsideAnInterface writes pointers for which gob sends nothing,
// where a decoder would take what follows for the value.
func TestC128_NilInsideAnInterface(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		c := l.open(new(tape))
		var none *leaf
		for _, v := range []any{box{none}, box{&none}, boxes{List: []any{1, &none, 2}}} {
			if err := c.Write(new(codec.Header), v); err == nil {
				t.Errorf("%#v was written", v)
			}
		}
	})
}

// TestC124_DeepValueSaysSo reads what stock gob writes of a value that is nested
// too deep for us. The error is that of a limit, not of a corrupt message.
func TestC124_DeepValueSaysSo(t *testing.T) {
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	for _, n := range []int{20_000, 3} {
		enc.Encode(oldHeader{ServiceMethod: "Service.Method", Seq: 7})
		enc.Encode(newList(n))
	}
	c := gobPlain.reader(&b, 0)
	readHeader(t, c)
	err := c.ReadBody(new(list))
	wantIs(t, err, codec.ErrTooDeep)
	if errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("error is %v", err)
	}
	if got := receive[list](t, c); got.Next.Next.Next != nil {
		t.Error("the next value has changed")
	}
	if text := fmt.Sprint(err); text != "value is nested too deep, 10000 levels are allowed in gob" {
		t.Errorf("error is %q", text)
	}
}

// A child has a pointer to its parent, which JSON omits.
type child struct {
	Name     string
	Parent   *child `json:"-"`
	Children []*child
}

// An island holds itself, and encodes itself.
type island struct{ Self *island }

func (*island) MarshalText() ([]byte, error) { return []byte("island"), nil }

// TestC128_JSON writes values that hold themselves, that are a million elements
// long, or that have too many parts, and values that only look like that.
func TestC128_JSON(t *testing.T) {
	var twins *twin
	for range 60 {
		twins = &twin{twins, twins}
	}
	family := &child{Name: "a"}
	family.Children = []*child{{Name: "b", Parent: family}}
	lonely := &island{}
	lonely.Self = lonely
	tests := []struct {
		name string
		body any
		want error // nil: it is written
	}{
		{"a million elements", newList(1_000_000), codec.ErrTooDeep},
		{"a million elements in an interface", box{newList(1_000_000)}, codec.ErrTooDeep},
		{"many paths", twins, codec.ErrTooLarge},
		{"9,000 elements", newList(9000), nil},
		{"a field that is left out", family, nil},
		{"a type with a method of its own", box{lonely}, nil},
		{"the same twice", boxes{List: []any{family, family}}, nil},
		{"nothing in interfaces", boxes{List: []any{nil, (*leaf)(nil), new(*leaf)}}, nil},
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		w := l.writer(1 << 20)
		for _, test := range tests {
			err := w.Write(new(codec.Header), test.body)
			if !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
		for name, v := range cycles() {
			if err := w.Write(new(codec.Header), v); err == nil {
				t.Errorf("%s: written", name)
			}
		}
	})
}
