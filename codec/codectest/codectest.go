// Package codectest checks implementations of [codec.Codec].
//
// A codec carries other people's calls, and a fault in it shows late: when a
// value can't be encoded, when a connection breaks in the middle of a message,
// when bytes trickle in. This package makes all of that happen, on connections
// in memory. A test of a codec is one line:
//
//	func TestCodec(t *testing.T) {
//		codectest.Run(t, codec.Framed(marshal, unmarshal))
//	}
//
// A codec that can't transmit every Go struct needs [Values] of its own:
//
//	codectest.Run(t, codec.Framed(marshal, unmarshal), &codectest.Values{
//		New:    func(n int) any { return &pb.Point{X: int32(n), Y: 7} },
//		Target: func() any { return new(pb.Point) },
//		Equal:  func(got, want any) bool { return proto.Equal(got.(*pb.Point), want.(*pb.Point)) },
//	})
//
// Run the tests with -race as well: two goroutines use a codec at a time.
package codectest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"geerpc/codec"
)

// Values are what a codec under test transmits. A nil function means its
// default. The defaults suit codecs that take any Go value.
type Values struct {
	// New returns the nth sample, to be sent as the body of a message. Samples
	// of different n differ, those of the same n are equal and independent of
	// each other. By default they are pointers to a struct with a few fields,
	// a slice and a map.
	New func(n int) any

	// Target returns what a sample is decoded into: a pointer to a zero value.
	// By default it has the type of New's result or, if that is not a pointer,
	// points to that type.
	Target func() any

	// Equal reports whether got, a target that has been decoded into, is equal
	// to the sample want. By default it is reflect.DeepEqual of what both
	// point to.
	Equal func(got, want any) bool

	// Misfit returns a pointer that no sample can be decoded into.
	// By default it points to a slice of integers.
	Misfit func() any

	// Unfit returns a value that can't be encoded. By default it is a channel.
	Unfit func() any
}

// Run checks that the codecs which newCodec makes keep each obligation in the
// documentation of [codec.Codec]. It checks the codec itself and, if that is
// [codec.Extended], the codec that Extend returns. The latter must also transmit
// whole headers, pass on messages of unknown kinds, and have the whole message
// at hand once it has returned a header.
//
// Each obligation is a subtest. Run calls newCodec often, from one goroutine.
// At most one Values is taken; without one, or with nil, the defaults are used.
func Run(t *testing.T, newCodec codec.NewCodecFunc, values ...*Values) {
	t.Helper()
	s := &suite{newCodec: newCodec}
	for _, v := range values {
		if v != nil {
			s.Values = *v
		}
	}
	s.setDefaults()
	t.Run("plain", s.run)
	if _, ok := newCodec(&conn{}).(codec.Extended); ok {
		extended := *s
		extended.extended = true
		t.Run("extended", extended.run)
	}
}

func (s *suite) run(t *testing.T) {
	for _, c := range checks {
		if c.extended && !s.extended {
			continue
		}
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if err := s.check(c); err != nil {
				t.Errorf("%s: %v\nThe obligation: %s", c.name, err, c.obligation)
			}
		})
	}
}

// check runs one check.
func (s *suite) check(c check) error {
	return guard(func() error { return c.run(s) })
}

// guard turns a panic of the codec into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// A suite is a codec under test.
type suite struct {
	Values
	newCodec codec.NewCodecFunc
	extended bool // check what Extend returns
}

// sample is the default body.
type sample struct {
	Name   string
	Number int64
	Words  []string
	Counts map[string]int
}

func newSample(n int) any {
	return &sample{
		Name:   fmt.Sprintf("sample %d: \"quoted\", <b>, ü, \n", n),
		Number: int64(n) << 40,
		Words:  []string{"a", strings.Repeat("b", n%50), ""},
		Counts: map[string]int{"n": n},
	}
}

func (s *suite) setDefaults() {
	if s.New == nil {
		s.New = newSample
	}
	if s.Target == nil {
		s.Target = func() any {
			t := reflect.TypeOf(s.New(0))
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			return reflect.New(t).Interface()
		}
	}
	if s.Equal == nil {
		s.Equal = func(got, want any) bool { return reflect.DeepEqual(pointee(got), pointee(want)) }
	}
	if s.Misfit == nil {
		s.Misfit = func() any { return new([]int) }
	}
	if s.Unfit == nil {
		s.Unfit = func() any { return make(chan int) }
	}
}

// pointee returns what v points to, or v if it is not a pointer.
func pointee(v any) any {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		return p.Elem().Interface()
	}
	return v
}
