package gobstream

import (
	"math"
	"math/bits"
	"reflect"
	"unsafe"
)

// An address is where a value lies in memory. Nothing else in this library uses package
// unsafe. With package reflect in its place, a plan writes half as fast and reads two
// thirds as fast (BenchmarkOrder).
//
// These hold it together:
//   - An address is that of a live value of the type that is taken to be there, whole, or
//     nil: it comes from a reflect.Value, and goes on by the offsets and sizes of its type.
//   - It is a pointer all the time, and never an integer, so that the garbage collector
//     sees it. Pointers are stored through typed pointers, so that it sees them, too.
//   - Memory is allocated, and slices are grown, by package reflect, which knows the type.
//   - A slice lies in memory as a sliceHeader does, and a map of strings to strings as any
//     such map, whatever the types are called. So package reflect assumes, too.
type address struct{ p unsafe.Pointer }

// addressOf returns the address that v, a pointer, points to.
func addressOf(v reflect.Value) address { return address{v.UnsafePointer()} }

func (a address) isNil() bool { return a.p == nil }

// plus returns the address that is some bytes further.
func (a address) plus(bytes uintptr) address { return address{unsafe.Add(a.p, bytes)} }

// pointer returns the pointer that lies at a, as the address that it points to.
func (a address) pointer() *address { return (*address)(a.p) }

func (a address) string() *string           { return (*string)(a.p) }
func (a address) bytes() *[]byte            { return (*[]byte)(a.p) }
func (a address) strings() *[]string        { return (*[]string)(a.p) }
func (a address) texts() *map[string]string { return (*map[string]string)(a.p) }
func (a address) slice() *sliceHeader       { return (*sliceHeader)(a.p) }

// A sliceHeader is how a slice lies in memory.
type sliceHeader struct {
	first  address
	length int
	room   int
}

// pointerTo returns a as a pointer to a type.
func (a address) pointerTo(t reflect.Type) reflect.Value { return reflect.NewAt(t, a.p) }

// value returns the value of a type that lies at a.
func (a address) value(t reflect.Type) reflect.Value { return a.pointerTo(t).Elem() }

// load returns the number of a kind that lies at a, as it is sent. Of a complex number
// it is the real part.
func (a address) load(kind reflect.Kind) uint64 {
	switch kind {
	case reflect.Bool:
		return uint64(*(*uint8)(a.p))
	case reflect.Int:
		return toUnsigned(int64(*(*int)(a.p)))
	case reflect.Int8:
		return toUnsigned(int64(*(*int8)(a.p)))
	case reflect.Int16:
		return toUnsigned(int64(*(*int16)(a.p)))
	case reflect.Int32:
		return toUnsigned(int64(*(*int32)(a.p)))
	case reflect.Int64:
		return toUnsigned(*(*int64)(a.p))
	case reflect.Uint:
		return uint64(*(*uint)(a.p))
	case reflect.Uint8:
		return uint64(*(*uint8)(a.p))
	case reflect.Uint16:
		return uint64(*(*uint16)(a.p))
	case reflect.Uint32:
		return uint64(*(*uint32)(a.p))
	case reflect.Uint64:
		return *(*uint64)(a.p)
	case reflect.Uintptr:
		return uint64(*(*uintptr)(a.p))
	case reflect.Float32, reflect.Complex64:
		return fromFloat(float64(*(*float32)(a.p)))
	default: // reflect.Float64, reflect.Complex128
		return fromFloat(*(*float64)(a.p))
	}
}

// store sets the number of a kind that lies at a to the one that was sent as x, unless it
// overflows.
func (a address) store(kind reflect.Kind, x uint64) (ok bool) {
	switch kind {
	case reflect.Bool:
		*(*bool)(a.p) = x != 0
	case reflect.Int:
		return storeInt((*int)(a.p), x)
	case reflect.Int8:
		return storeInt((*int8)(a.p), x)
	case reflect.Int16:
		return storeInt((*int16)(a.p), x)
	case reflect.Int32:
		return storeInt((*int32)(a.p), x)
	case reflect.Int64:
		return storeInt((*int64)(a.p), x)
	case reflect.Uint:
		return storeUint((*uint)(a.p), x)
	case reflect.Uint8:
		return storeUint((*uint8)(a.p), x)
	case reflect.Uint16:
		return storeUint((*uint16)(a.p), x)
	case reflect.Uint32:
		return storeUint((*uint32)(a.p), x)
	case reflect.Uint64:
		return storeUint((*uint64)(a.p), x)
	case reflect.Uintptr:
		return storeUint((*uintptr)(a.p), x)
	case reflect.Float32, reflect.Complex64:
		f := toFloat(x)
		if math.Abs(f) > math.MaxFloat32 && !math.IsInf(f, 0) {
			return false
		}
		*(*float32)(a.p) = float32(f)
	default: // reflect.Float64, reflect.Complex128
		*(*float64)(a.p) = toFloat(x)
	}
	return true
}

func storeInt[T int | int8 | int16 | int32 | int64](to *T, x uint64) bool {
	i := toSigned(x)
	if int64(T(i)) != i {
		return false
	}
	*to = T(i)
	return true
}

func storeUint[T uint | uint8 | uint16 | uint32 | uint64 | uintptr](to *T, x uint64) bool {
	if uint64(T(x)) != x {
		return false
	}
	*to = T(x)
	return true
}

// The bytes of a number with a floating point are sent in reverse: many end in zeros.
func toFloat(x uint64) float64   { return math.Float64frombits(bits.ReverseBytes64(x)) }
func fromFloat(f float64) uint64 { return bits.ReverseBytes64(math.Float64bits(f)) }
