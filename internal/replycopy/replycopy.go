// Package replycopy copies what stands in a reply, so that a codec can decode
// into the copy, and merges the copy into the reply afterwards.
//
// A codec that may wait for the network in the middle of a body can't decode into
// the reply itself: the caller may leave meanwhile, and use it. Decoding into a
// copy and merging it has the same result as decoding in place:
//
//	reply {Limit: 3, Tags: →{a}}     copy {Limit: 3, Tags: →{a}}
//	                                   │ decode {"Tags":{"b":1}}
//	                                   ▼
//	reply {Limit: 3, Tags: →{a, b}} ◄ copy {Limit: 3, Tags: →{a, b}}
//
// What the peer does not send remains. Maps, slices and what pointers point to
// are filled and not replaced, so others who hold a part of the reply see it.
//
// Reflection can't copy an unexported field by itself. A struct with such a field
// that leads to other memory, as a big.Int has, therefore begins as zero in the
// copy, except for its exported fields.
package replycopy

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"geerpc/internal/usercode"
)

// A Copy is a copy of a reply.
type Copy struct {
	to   reflect.Value // the reply
	from reflect.Value // a pointer to the copy

	copies map[address]*copied  // of maps, and of what pointers point to
	before map[address]snapshot // of structs in the copy that have unexported fields
}

// A snapshot is a struct of the copy as it was before decoding.
type snapshot struct {
	at    reflect.Value // a pointer to the struct, which keeps its address from being used again
	value reflect.Value
}

// An address is where a pointer or a map leads.
type address struct {
	t reflect.Type
	p uintptr
}

// A copied is the copy of what is at an address.
type copied struct {
	v      reflect.Value // a pointer or a map
	merged bool
}

// maxDepth limits how deep a reply is copied. What lies deeper begins as zero.
const maxDepth = 1000

// Of copies what a reply, a pointer, points to.
func Of(reply any) *Copy {
	r := &Copy{to: reflect.ValueOf(reply), copies: make(map[address]*copied)}
	r.from = r.shared(r.to, 0)
	return r
}

// Target returns the pointer to decode into.
func (r *Copy) Target() any { return r.from.Interface() }

// copy sets dst to a copy of src.
func (r *Copy) copy(dst, src reflect.Value, depth int) {
	if depth > maxDepth {
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

func (r *Copy) copyElements(dst, src reflect.Value, depth int) {
	if isFlat(src.Type().Elem()) {
		reflect.Copy(dst, src)
		return
	}
	for i := range src.Len() {
		r.copy(dst.Index(i), src.Index(i), depth+1)
	}
}

// shared returns the copy of a map, or of what a pointer points to. Two that lead
// to the same memory get the same copy.
func (r *Copy) shared(src reflect.Value, depth int) reflect.Value {
	at := address{src.Type(), src.Pointer()}
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

// Merge puts what has been decoded into the reply. It is called once.
func (r *Copy) Merge() { r.mergeShared(r.to, r.from) }

func (r *Copy) mergeInto(dst, src reflect.Value) {
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

// mergeShared merges a map, or what a pointer points to, into its original. It
// reports false if src is not the copy of dst. Both may be in an interface.
func (r *Copy) mergeShared(dst, src reflect.Value) bool {
	if dst.Kind() == reflect.Interface {
		dst, src = dst.Elem(), src.Elem()
	}
	if !dst.IsValid() || !src.IsValid() || dst.Type() != src.Type() {
		return false
	}
	if k := dst.Kind(); k != reflect.Pointer && k != reflect.Map || dst.IsNil() || src.IsNil() {
		return false
	}
	c := r.copies[address{dst.Type(), dst.Pointer()}]
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

// mergeSlice uses the memory of dst if it is large enough.
func (r *Copy) mergeSlice(dst, src reflect.Value) {
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

// mergeStruct leaves unexported fields alone unless decoding has changed one:
// they may be a mutex that is in use. They are set together, with the whole
// struct, because reflection can't set one of them.
func (r *Copy) mergeStruct(dst, src reflect.Value) {
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

// remember keeps a snapshot of v, a struct of the copy, for decodedHidden. Times
// need none: all that they hold is data.
func (r *Copy) remember(v reflect.Value, s *structFields) {
	if len(s.hidden) == 0 || v.Type() == timeType {
		return
	}
	was := reflect.New(v.Type()).Elem()
	was.Set(v)
	if r.before == nil {
		r.before = make(map[address]snapshot)
	}
	r.before[address{v.Type(), v.Addr().Pointer()}] = snapshot{v.Addr(), was}
}

// decodedHidden reports whether decoding may have changed unexported fields of v,
// a struct of the copy.
func (r *Copy) decodedHidden(v reflect.Value, s *structFields) bool {
	if s.hiddenLead { // it began as zero
		return s.codesItself || !s.hiddenZero(v)
	}
	if !v.CanAddr() {
		return true
	}
	was, known := r.before[address{v.Type(), v.Addr().Pointer()}]
	return !known || slices.ContainsFunc(s.hidden, func(i int) bool { return !v.Field(i).Equal(was.value.Field(i)) })
}

// structFields are the fields of a struct type, by index.
type structFields struct {
	exported, hidden []int // hidden ones are not exported
	hiddenLead       bool  // hidden ones lead to other memory
	codesItself      bool  // decoding may set hidden ones, by a method of the type
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
			s.hiddenLead = s.hiddenLead || t != timeType && Leads(f.Type)
		}
	}
	s.codesItself = len(s.exported) == 0 || slices.ContainsFunc(usercode.Encoders, reflect.PointerTo(t).Implements)
	knownFields.Store(t, s)
	return s
}

// hiddenZero reports whether all unexported fields of v are zero.
func (s *structFields) hiddenZero(v reflect.Value) bool {
	return !slices.ContainsFunc(s.hidden, func(i int) bool { return !v.Field(i).IsZero() })
}

// Leads reports whether values of type t lead to other memory that may change.
// Strings don't, nor do times with their locations.
func Leads(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return Leads(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if t != timeType && Leads(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// isFlat reports whether an assignment copies values of type t completely: they
// lead nowhere and have no unexported fields.
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
	return !Leads(t)
}

var timeType = reflect.TypeFor[time.Time]()
