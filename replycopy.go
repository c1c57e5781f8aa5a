package geerpc

import (
	"reflect"
	"slices"
	"sync"
	"time"
)

// A replyCopy is a copy of what stands in a reply, to decode into.
//
// A codec that may wait for the network in the middle of a body can't decode
// into the reply itself: the caller may leave meanwhile and take it along. So it
// decodes into a copy, which is merged into the reply once all is there. What
// the peer does not send remains; maps, slices and what pointers point to are
// filled and not replaced, as if the codec had decoded into the reply.
//
// A field that is not exported can't be copied by itself. A struct with such a
// field that leads to other memory, as a big.Int has, therefore begins as zero,
// but for its exported fields.
type replyCopy struct {
	to   reflect.Value // the reply
	from reflect.Value // a pointer to the copy

	copies map[place]*copied // of what pointers point to, and of maps
	before map[place]hidden  // what structs of the copy held, for their unexported fields
}

// A hidden is a struct with unexported fields as it was before decoding.
type hidden struct {
	at reflect.Value // a pointer to it in the copy; nothing else gets its address meanwhile
	v  reflect.Value
}

// A place is what a pointer or a map leads to.
type place struct {
	t reflect.Type
	p uintptr
}

// A copied is the copy of what is at a place.
type copied struct {
	v      reflect.Value // a pointer or a map
	merged bool
}

// maxCopyDepth limits how deep a reply is copied. What lies deeper begins as
// zero.
const maxCopyDepth = 1000

// copyReply copies what a reply points to.
func copyReply(reply any) *replyCopy {
	r := &replyCopy{to: reflect.ValueOf(reply), copies: make(map[place]*copied)}
	r.from = r.shared(r.to, 0)
	return r
}

// target returns what to decode into.
func (r *replyCopy) target() any { return r.from.Interface() }

// copy sets dst to a copy of src.
func (r *replyCopy) copy(dst, src reflect.Value, depth int) {
	if depth > maxCopyDepth {
		dst.SetZero()
		return
	}
	switch src.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		if src.IsNil() {
			dst.SetZero()
			return
		}
	}
	switch src.Kind() {
	case reflect.Pointer, reflect.Map:
		dst.Set(r.shared(src, depth))
	case reflect.Interface:
		v := reflect.New(src.Elem().Type()).Elem()
		r.copy(v, src.Elem(), depth+1)
		dst.Set(v)
	case reflect.Slice:
		dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
		r.copyElements(dst, src, depth)
	case reflect.Array:
		r.copyElements(dst, src, depth)
	case reflect.Struct:
		s := fieldsOf(src.Type())
		if s.hiddenLead {
			dst.SetZero()
		} else {
			dst.Set(src)
			r.remember(dst, s)
		}
		for _, i := range s.exported {
			r.copy(dst.Field(i), src.Field(i), depth+1)
		}
	default:
		dst.Set(src)
	}
}

func (r *replyCopy) copyElements(dst, src reflect.Value, depth int) {
	if isFlat(src.Type().Elem()) {
		reflect.Copy(dst, src)
		return
	}
	for i := range src.Len() {
		r.copy(dst.Index(i), src.Index(i), depth+1)
	}
}

// shared returns the copy of what a pointer points to, or of a map. Two that
// are the same remain that.
func (r *replyCopy) shared(src reflect.Value, depth int) reflect.Value {
	at := place{src.Type(), src.Pointer()}
	if c := r.copies[at]; c != nil {
		return c.v
	}
	if src.Kind() == reflect.Pointer {
		c := &copied{v: reflect.New(src.Type().Elem())}
		r.copies[at] = c // before what is behind it, which may lead here
		r.copy(c.v.Elem(), src.Elem(), depth+1)
		return c.v
	}
	c := &copied{v: reflect.MakeMapWithSize(src.Type(), src.Len())}
	r.copies[at] = c
	for entry := src.MapRange(); entry.Next(); {
		v := reflect.New(src.Type().Elem()).Elem()
		r.copy(v, entry.Value(), depth+1)
		c.v.SetMapIndex(entry.Key(), v)
	}
	return c.v
}

// merge puts what has been decoded into the reply.
func (r *replyCopy) merge() { r.mergeShared(r.to, r.from) }

func (r *replyCopy) mergeInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Interface:
		if !r.mergeShared(dst, src) {
			dst.Set(src)
		}
	case reflect.Slice:
		r.mergeSlice(dst, src)
	case reflect.Array:
		for i := range src.Len() {
			r.mergeInto(dst.Index(i), src.Index(i))
		}
	case reflect.Struct:
		r.mergeStruct(dst, src)
	default:
		dst.Set(src)
	}
}

// mergeShared merges what a pointer points to, or a map, into that which it is
// the copy of. It reports false if it is none. Either may be in an interface.
func (r *replyCopy) mergeShared(dst, src reflect.Value) bool {
	if dst.Kind() == reflect.Interface {
		dst, src = dst.Elem(), src.Elem()
	}
	if !dst.IsValid() || !src.IsValid() || dst.Type() != src.Type() {
		return false
	}
	if k := dst.Kind(); k != reflect.Pointer && k != reflect.Map || dst.IsNil() || src.IsNil() {
		return false
	}
	c := r.copies[place{dst.Type(), dst.Pointer()}]
	if c == nil || c.v.Pointer() != src.Pointer() {
		return false
	}
	if c.merged {
		return true
	}
	c.merged = true
	if dst.Kind() == reflect.Pointer {
		r.mergeInto(dst.Elem(), src.Elem())
		return true
	}
	for entry := src.MapRange(); entry.Next(); {
		old := dst.MapIndex(entry.Key())
		if !old.IsValid() || !r.mergeShared(old, entry.Value()) {
			dst.SetMapIndex(entry.Key(), entry.Value())
		}
	}
	return true
}

// mergeSlice uses the memory that dst has, if it is enough.
func (r *replyCopy) mergeSlice(dst, src reflect.Value) {
	if src.IsNil() || dst.IsNil() {
		dst.Set(src)
		return
	}
	n := src.Len()
	if n > dst.Cap() {
		larger := reflect.MakeSlice(dst.Type(), n, n)
		reflect.Copy(larger, dst)
		dst.Set(larger)
	}
	dst.SetLen(n)
	if isFlat(dst.Type().Elem()) {
		reflect.Copy(dst, src)
		return
	}
	for i := range n {
		r.mergeInto(dst.Index(i), src.Index(i))
	}
}

// mergeStruct leaves unexported fields alone that decoding has not changed: they
// may be a mutex that is in use. Together they are set or left, for reflection
// sets none by itself.
func (r *replyCopy) mergeStruct(dst, src reflect.Value) {
	s := fieldsOf(src.Type())
	whole := len(s.hidden) > 0 && r.decodedHidden(src, s)
	for _, i := range s.exported {
		r.mergeInto(dst.Field(i), src.Field(i))
		if whole {
			src.Field(i).Set(dst.Field(i))
		}
	}
	if whole {
		dst.Set(src)
	}
}

// remember notes what v, of the copy, holds before decoding. A time has nothing
// but data.
func (r *replyCopy) remember(v reflect.Value, s *structFields) {
	if len(s.hidden) == 0 || v.Type() == timeType {
		return
	}
	was := reflect.New(v.Type()).Elem()
	was.Set(v)
	if r.before == nil {
		r.before = make(map[place]hidden)
	}
	r.before[place{v.Type(), v.Addr().Pointer()}] = hidden{v.Addr(), was}
}

// decodedHidden tells whether unexported fields of v, of the copy, may have been
// decoded.
func (r *replyCopy) decodedHidden(v reflect.Value, s *structFields) bool {
	if s.hiddenLead { // it began as zero
		return s.codesItself || !s.hiddenZero(v)
	}
	if !v.CanAddr() {
		return true
	}
	was, known := r.before[place{v.Type(), v.Addr().Pointer()}]
	return !known || slices.ContainsFunc(s.hidden, func(i int) bool { return !v.Field(i).Equal(was.v.Field(i)) })
}

// structFields tells how values of a struct type are copied.
type structFields struct {
	exported, hidden []int
	hiddenLead       bool // hidden ones lead to other memory
	codesItself      bool // or nothing could decode it
}

var knownFields sync.Map // reflect.Type → *structFields

func fieldsOf(t reflect.Type) *structFields {
	if known, ok := knownFields.Load(t); ok {
		return known.(*structFields)
	}
	s := new(structFields)
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			s.exported = append(s.exported, i)
		} else {
			s.hidden = append(s.hidden, i)
			s.hiddenLead = s.hiddenLead || t != timeType && leads(f.Type)
		}
	}
	s.codesItself = len(s.exported) == 0 ||
		slices.ContainsFunc(encoders, func(encoder reflect.Type) bool { return reflect.PointerTo(t).Implements(encoder) })
	knownFields.Store(t, s)
	return s
}

// hiddenZero tells whether all unexported fields of v are zero.
func (s *structFields) hiddenZero(v reflect.Value) bool {
	return !slices.ContainsFunc(s.hidden, func(i int) bool { return !v.Field(i).IsZero() })
}

// leads tells whether values of type t lead to other memory that may change. A
// string does not, and neither does a time with its location.
func leads(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return leads(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if t != timeType && leads(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// isFlat tells whether values of type t are copied as a whole: they lead nowhere
// and hold nothing unexported.
func isFlat(t reflect.Type) bool {
	switch {
	case t == timeType:
		return true
	case t.Kind() == reflect.Array:
		return isFlat(t.Elem())
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); !f.IsExported() || !isFlat(f.Type) {
				return false
			}
		}
		return true
	}
	return !leads(t)
}

var timeType = reflect.TypeFor[time.Time]()
