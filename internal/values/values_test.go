package values

import (
	"reflect"
	"testing"
)

type (
	point   struct{ X, Y int }
	named   *point
	double  **point
	holder  struct{ S []byte }
	tooLong [maxReused + 1]byte
)

// What a codec decodes into fills what the method gets, whatever it declares.
func TestNewArgs(t *testing.T) {
	for _, zero := range []any{point{}, (*point)(nil), (**point)(nil), (***point)(nil), named(nil), double(nil), 0, map[string]int(nil)} {
		declared := reflect.TypeOf(zero)
		target, args := NewArgs(declared)
		if args.Type() != declared {
			t.Errorf("%v: the method gets a %v", declared, args.Type())
		}
		if target.Kind() != reflect.Pointer || target.IsNil() || target.Type().Elem().Kind() == reflect.Pointer {
			t.Errorf("%v: a codec decodes into a %v", declared, target.Type())
			continue
		}
		if p, ok := target.Interface().(*point); ok {
			p.X = 7
			v := args
			for v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			if v.Interface() != (point{X: 7}) {
				t.Errorf("%v: the method gets %+v", declared, v)
			}
		}
	}
}

func TestNewReply(t *testing.T) {
	for _, c := range []struct {
		zero    any
		made    bool
		wantNil bool
	}{
		{map[string]int(nil), true, false}, {map[string]int(nil), false, true},
		{[]int(nil), true, false}, {[]int(nil), false, true},
		{(*point)(nil), true, true},
	} {
		reply := NewReply(reflect.TypeOf(c.zero), c.made)
		if reply.Type() != reflect.PointerTo(reflect.TypeOf(c.zero)) || reply.Elem().IsNil() != c.wantNil {
			t.Errorf("%T, made %v: %v", c.zero, c.made, reply.Elem())
		}
	}
}

func TestInnermost(t *testing.T) {
	p := &point{1, 2}
	pp := &p
	var none *point
	for _, c := range []struct {
		p    any
		want *point
	}{{p, p}, {pp, p}, {&pp, p}, {&none, nil}, {named(p), p}, {double(pp), p}, {(**point)(nil), nil}} {
		if got := Innermost(reflect.ValueOf(c.p)).Interface(); got != c.want {
			t.Errorf("%T: %v, want %v", c.p, got, c.want)
		}
	}
}

// A value is used again only where nothing leads to it from elsewhere.
func TestIsCopied(t *testing.T) {
	for _, c := range []struct {
		zero any
		want bool
	}{{point{}, true}, {"", true}, {[4]int{}, true}, {tooLong{}, false}, {holder{}, false}, {(*point)(nil), false}, {map[string]int{}, false}} {
		if got := IsCopied(reflect.TypeOf(c.zero)); got != c.want {
			t.Errorf("%T: %v", c.zero, got)
		}
	}
}
