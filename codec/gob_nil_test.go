package codec_test

import (
	"bytes"
	"encoding/gob"
	"math/big"
	"reflect"
	"testing"
	"time"
)

// Structs that decoders treat differently.
type (
	user struct {
		Name  string
		Roles map[string]int
	}
	holder struct{ Any any }
)

// nilPointers returns, for a type T, a nil *T, a **T to a nil *T, a ***T to that,
// and a nil ***T.
func nilPointers(t reflect.Type) []any {
	nothing := reflect.Zero(reflect.PointerTo(t))
	one := reflect.New(nothing.Type())
	two := reflect.New(one.Type())
	two.Elem().Set(one)
	return []any{nothing.Interface(), one.Interface(), two.Interface(), reflect.Zero(two.Type()).Interface()}
}

var pointedTo = []reflect.Type{
	reflect.TypeFor[plain](), reflect.TypeFor[leaf](), reflect.TypeFor[user](), reflect.TypeFor[holder](), reflect.TypeFor[list](),
	reflect.TypeFor[tree](), reflect.TypeFor[mesh](), reflect.TypeFor[boxes](), reflect.TypeFor[struct{}](), reflect.TypeFor[any](),
	reflect.TypeFor[map[string]int](), reflect.TypeFor[[]int](), reflect.TypeFor[[]byte](), reflect.TypeFor[[2]int](),
	reflect.TypeFor[int](), reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[time.Time](), reflect.TypeFor[big.Int](),
}

// TestC124_NilPointers sends nil pointers. They are read as zero values, by stock
// gob as well, and the values around them are unchanged.
func TestC124_NilPointers(t *testing.T) {
	each(t, layouts, func(t *testing.T, l layout) {
		for _, typ := range pointedTo {
			t.Run(typ.String(), func(t *testing.T) {
				c := l.open(new(tape))
				send(t, c, plain{Name: "before"})
				receive[plain](t, c)
				for _, v := range append(nilPointers(typ), nilPointers(typ)...) {
					send(t, c, v)
					readHeader(t, c)
					got := reflect.New(typ)
					if err := c.ReadBody(got.Interface()); err != nil {
						t.Fatalf("ReadBody of a %T: %v", v, err)
					}
					if n := got.Elem(); !n.IsZero() && (n.Kind() != reflect.Map || n.Len() > 0) {
						t.Errorf("a %T is read as %v", v, n)
					}
					send(t, c, plain{Name: "after"})
					if got := receive[plain](t, c); got.Name != "after" {
						t.Errorf("behind a %T: %+v", v, got)
					}
				}
			})
		}
	})
	for _, typ := range pointedTo {
		for _, v := range nilPointers(typ) {
			conn := new(tape)
			send(t, gobPlain.open(conn), v)
			dec := gob.NewDecoder(conn)
			got := reflect.New(typ)
			if err := dec.Decode(new(oldHeader)); err != nil {
				t.Fatal(err)
			}
			if err := dec.DecodeValue(got); err != nil || !got.Elem().IsZero() && got.Elem().Kind() != reflect.Map {
				t.Errorf("stock gob reads a %T as %v, %v", v, got.Elem(), err)
			}
		}
	}
}

// TestC124_NilPointersFromStockGob reads what stock gob writes of a pointer to a
// nil pointer to a struct: nothing, not even the struct's end.
func TestC124_NilPointersFromStockGob(t *testing.T) {
	for _, typ := range pointedTo {
		switch {
		case typ.Kind() != reflect.Struct, typ == reflect.TypeFor[time.Time](), typ == reflect.TypeFor[big.Int]():
			continue // gob can't read these itself
		case typ == reflect.TypeFor[list]():
			continue // gob panics where the first field is a pointer
		}
		var b bytes.Buffer
		enc := gob.NewEncoder(&b)
		for _, v := range []any{nilPointers(typ)[1], plain{Name: "after"}} {
			enc.Encode(oldHeader{ServiceMethod: "Service.Method", Seq: 7})
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
		}
		c := gobPlain.reader(&b, 0)
		readHeader(t, c)
		got := reflect.New(typ)
		if err := c.ReadBody(got.Interface()); err != nil || !got.Elem().IsZero() {
			t.Errorf("%v is read as %+v, %v", typ, got.Elem(), err)
		}
		if got := receive[plain](t, c); got.Name != "after" {
			t.Errorf("behind it: %+v", got)
		}
	}
}

// TestC124_PointersToPointers sends and reads values through more than one
// pointer. Gob alone gives methods of the type the wrong one, and panics.
func TestC124_PointersToPointers(t *testing.T) {
	each(t, layouts, func(t *testing.T, l layout) {
		c := l.open(new(tape))
		n := big.NewInt(5)
		u := &user{"n", map[string]int{"a": 1}}
		w := &tree{N: 3}
		for range 2 {
			send(t, c, &n)
			if got := receive[*big.Int](t, c); got.Cmp(n) != 0 {
				t.Errorf("got %v", got)
			}
			send(t, c, &u)
			if got := receive[**user](t, c); !reflect.DeepEqual(*got, u) {
				t.Errorf("got %+v", *got)
			}
			send(t, c, &w)
			if got := receive[tree](t, c); got.N != 3 {
				t.Errorf("got %+v", got)
			}
		}
	})
}
