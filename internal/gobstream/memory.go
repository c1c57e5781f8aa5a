package gobstream

import (
	"math"
	"math/bits"
	"reflect"
	"unsafe"
)

// isNumber reports whether values are a number each, which is loaded and stored.
func (p *plan) isNumber() bool { return boolID <= p.form && p.form <= floatID }

// load returns the number at an address as it is sent. Of a complex number it is the
// real part.
func (p *plan) load(at unsafe.Pointer) uint64 {
	switch p.kind {
	case reflect.Bool:
		return uint64(*(*uint8)(at))
	case reflect.Int:
		return toUnsigned(int64(*(*int)(at)))
	case reflect.Int8:
		return toUnsigned(int64(*(*int8)(at)))
	case reflect.Int16:
		return toUnsigned(int64(*(*int16)(at)))
	case reflect.Int32:
		return toUnsigned(int64(*(*int32)(at)))
	case reflect.Int64:
		return toUnsigned(*(*int64)(at))
	case reflect.Uint:
		return uint64(*(*uint)(at))
	case reflect.Uint8:
		return uint64(*(*uint8)(at))
	case reflect.Uint16:
		return uint64(*(*uint16)(at))
	case reflect.Uint32:
		return uint64(*(*uint32)(at))
	case reflect.Uint64:
		return *(*uint64)(at)
	case reflect.Uintptr:
		return uint64(*(*uintptr)(at))
	case reflect.Float32, reflect.Complex64:
		return fromFloat(float64(*(*float32)(at)))
	default: // reflect.Float64, reflect.Complex128
		return fromFloat(*(*float64)(at))
	}
}

// store sets the number at an address to the one that was sent as x, unless it
// overflows.
func (p *plan) store(at unsafe.Pointer, x uint64) (ok bool) {
	switch p.kind {
	case reflect.Bool:
		*(*bool)(at) = x != 0
	case reflect.Int:
		return storeInt[int](at, x)
	case reflect.Int8:
		return storeInt[int8](at, x)
	case reflect.Int16:
		return storeInt[int16](at, x)
	case reflect.Int32:
		return storeInt[int32](at, x)
	case reflect.Int64:
		return storeInt[int64](at, x)
	case reflect.Uint:
		return storeUint[uint](at, x)
	case reflect.Uint8:
		return storeUint[uint8](at, x)
	case reflect.Uint16:
		return storeUint[uint16](at, x)
	case reflect.Uint32:
		return storeUint[uint32](at, x)
	case reflect.Uint64:
		return storeUint[uint64](at, x)
	case reflect.Uintptr:
		return storeUint[uintptr](at, x)
	case reflect.Float32, reflect.Complex64:
		f := toFloat(x)
		if abs := math.Abs(f); abs > math.MaxFloat32 && !math.IsInf(f, 0) {
			return false
		}
		*(*float32)(at) = float32(f)
	default: // reflect.Float64, reflect.Complex128
		*(*float64)(at) = toFloat(x)
	}
	return true
}

func storeInt[T int | int8 | int16 | int32 | int64](at unsafe.Pointer, x uint64) bool {
	i := toSigned(x)
	if int64(T(i)) != i {
		return false
	}
	*(*T)(at) = T(i)
	return true
}

func storeUint[T uint | uint8 | uint16 | uint32 | uint64 | uintptr](at unsafe.Pointer, x uint64) bool {
	if uint64(T(x)) != x {
		return false
	}
	*(*T)(at) = T(x)
	return true
}

// The bytes of a number with a floating point are sent in reverse: many end in zeros.
func toFloat(x uint64) float64   { return math.Float64frombits(bits.ReverseBytes64(x)) }
func fromFloat(f float64) uint64 { return bits.ReverseBytes64(math.Float64bits(f)) }

// imaginary returns where the imaginary part of a complex number lies.
func (p *plan) imaginary(at unsafe.Pointer) unsafe.Pointer {
	return unsafe.Add(at, p.size/2)
}
