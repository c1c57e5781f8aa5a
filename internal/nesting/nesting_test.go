package nesting

import (
	"encoding"
	"errors"
	"reflect"
	"testing"

	"geerpc/internal/wire"
)

var (
	errDeep = errors.New("too deep")
	errNil  = errors.New("nil in an interface")
)

func newRule() *Rule {
	return &Rule{
		MaxDepth:       10,
		TooDeep:        errDeep,
		Encoders:       []reflect.Type{reflect.TypeFor[encoding.TextMarshaler]()},
		Encoded:        func(f reflect.StructField) bool { return f.IsExported() },
		NilInInterface: errNil,
	}
}

type (
	list struct {
		N    int
		Next *list
	}
	unseen struct{ next *unseen }
	named  struct{ Self *named }
	flat   struct {
		Numbers []int
		Inner   struct{ M map[string][3]bool }
	}
)

func (*named) MarshalText() ([]byte, error) { return nil, nil }

func newList(n int) (head *list) {
	for range n {
		head = &list{Next: head}
	}
	return head
}

func TestCheck(t *testing.T) {
	loop := &list{}
	loop.Next = loop
	hidden := &unseen{}
	hidden.next = hidden
	itself := &named{}
	itself.Self = itself
	var none *int
	tests := []struct {
		name string
		v    any
		room int
		want error
	}{
		{"nil", nil, 1, nil},
		{"a bounded type", flat{Numbers: make([]int, 100)}, 1, nil},
		{"as deep as allowed", newList(10), 0, nil},
		{"a level deeper", newList(11), 0, errDeep},
		{"a value that holds itself", loop, 0, errDeep},
		{"a field that is not encoded", hidden, 0, nil},
		{"a type that encodes itself", []any{itself}, 0, nil},
		{"as many parts as fit", make([]list, 5), 6, nil},
		{"a part too many", make([]list, 6), 6, wire.ErrTooLarge},
		{"any number of parts", make([]any, 1000), 0, nil},
		{"nil in an interface", []any{1, &none}, 0, errNil},
		{"a deep key", map[any]int{[1]any{newList(9)}: 1}, 0, errDeep},
		{"a deep element", map[int]any{1: newList(9)}, 0, errDeep},
	}
	r := newRule()
	for _, test := range tests {
		for range 2 { // the shape is new, then known
			if err := r.Check(test.v, test.room); !errors.Is(err, test.want) {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
	}
}

// A type that points to itself has no end of pointers.
func TestBase(t *testing.T) {
	type pointer *pointer
	if got := Base(reflect.TypeFor[***int]()); got != reflect.TypeFor[int]() {
		t.Errorf("got %v", got)
	}
	if got := Base(reflect.TypeFor[pointer]()); got.Kind() != reflect.Pointer {
		t.Errorf("got %v", got)
	}
}
