package gobstream

import (
	"fmt"
	"math/bits"
	"strings"

	"geerpc/internal/wire"
)

// Gob sends integers in as few bytes as it can. An unsigned integer below 128 is
// one byte. A larger one is the negated number of its bytes and then the bytes,
// big-endian. A signed integer is sent as an unsigned one whose lowest bit is
// the sign.

// parseUint returns the unsigned integer at the start of data and how many bytes
// it takes. If data is shorter than that, x is zero.
func parseUint(data []byte) (x uint64, n int, err error) {
	if len(data) == 0 {
		return 0, 1, nil
	}
	if data[0] < 0x80 {
		return uint64(data[0]), 1, nil
	}
	n = -int(int8(data[0]))
	if n > 8 {
		return 0, 0, fmt.Errorf("%w: gob integer of %d bytes", wire.ErrCorrupt, n)
	}
	if n++; n > len(data) {
		return 0, n, nil
	}
	for _, b := range data[1:n] {
		x = x<<8 | uint64(b)
	}
	return x, n, nil
}

// toSigned returns the signed integer that is sent as x.
func toSigned(x uint64) int64 {
	if x&1 != 0 {
		return ^int64(x >> 1)
	}
	return int64(x >> 1)
}

// toUnsigned returns the unsigned integer that i is sent as.
func toUnsigned(i int64) uint64 {
	if i < 0 {
		return uint64(^i)<<1 | 1
	}
	return uint64(i) << 1
}

func appendUint(b []byte, x uint64) []byte {
	if x < 0x80 {
		return append(b, byte(x))
	}
	n := sizeOfUint(x) - 1
	b = append(b, byte(-n))
	for n--; n >= 0; n-- {
		b = append(b, byte(x>>(8*n)))
	}
	return b
}

func appendInt(b []byte, i int64) []byte { return appendUint(b, toUnsigned(i)) }

// sizeOfUint returns how many bytes appendUint appends.
func sizeOfUint(x uint64) int {
	if x < 0x80 {
		return 1
	}
	return 1 + (bits.Len64(x)+7)/8
}

func sizeOfInt(i int64) int { return sizeOfUint(toUnsigned(i)) }

// A cursor takes integers and bytes off the front of data. After its first
// error nothing is left, and all that it returns is zero.
//
// It does not reslice data: to store a pointer for each byte is slow while the garbage
// is being collected.
type cursor struct {
	data     []byte
	off      int // of what is left
	err      error
	depth    int             // of the values within values that are being read
	reserved int             // bytes for elements of those that have not been read; see reserve
	text     strings.Builder // has short strings; see string
	slots    []string        // has short slices of strings; see strings
}

var (
	errIntegerCut   = corrupt("gob integer cut short")
	errIntegerRange = corrupt("gob integer out of range")
	errValueCut     = corrupt("gob value cut short")
)

func corrupt(why string) error { return fmt.Errorf("%w: %s", wire.ErrCorrupt, why) }

func (c *cursor) fail(err error) {
	if c.off = len(c.data); c.err == nil {
		c.err = err
	}
}

// left returns how many bytes are left.
func (c *cursor) left() int { return len(c.data) - c.off }

// rest returns the bytes that are left.
func (c *cursor) rest() []byte { return c.data[c.off:] }

func (c *cursor) uint() uint64 {
	if c.off < len(c.data) && c.data[c.off] < 0x80 {
		c.off++
		return uint64(c.data[c.off-1])
	}
	return c.long()
}

// long is uint for an integer that takes several bytes, or is cut short.
func (c *cursor) long() uint64 {
	x, n, err := parseUint(c.rest())
	if err != nil || n > c.left() {
		c.fail(errIntegerCut)
		return 0
	}
	c.off += n
	return x
}

func (c *cursor) int() int {
	i := toSigned(c.uint())
	if int64(int(i)) != i { // where an int has 32 bits
		c.fail(errIntegerRange)
		return 0
	}
	return int(i)
}

// id takes the id of a type. Gob keeps ids in an int32.
func (c *cursor) id() int {
	id := c.int()
	if id != int(int32(id)) {
		c.fail(errIntegerRange)
		return 0
	}
	return id
}

// take takes n bytes.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(c.left()) {
		c.fail(errValueCut)
		return nil
	}
	start := c.off
	c.off += int(n)
	return c.data[start:c.off:c.off] // a user's decoder may append to it
}

// Short strings of a value share memory: a value has many, and to allocate each takes
// longer than to decode it. Whoever keeps one of them keeps a block of this size.
const (
	shortString = 64
	stringBlock = 512
)

// string takes n bytes as a string.
func (c *cursor) string(n uint64) string {
	s := c.take(n)
	if len(s) == 0 || len(s) > shortString {
		return string(s)
	}
	if c.text.Cap()-c.text.Len() < len(s) {
		c.text = strings.Builder{}
		c.text.Grow(min(stringBlock, len(s)+c.left()))
	}
	start := c.text.Len()
	c.text.Write(s)
	return c.text.String()[start:]
}

// Short slices of strings share memory, too. Whoever keeps one of them keeps a block of
// so many strings.
const (
	shortSlice = 4
	slotBlock  = 16
)

// strings returns an empty slice with room for n strings.
func (c *cursor) strings(n int) []string {
	if n > shortSlice || c.left() < slotBlock {
		return make([]string, 0, n)
	}
	if len(c.slots) < n {
		c.slots = make([]string, slotBlock)
	}
	s := c.slots[:0:n]
	c.slots = c.slots[n:]
	return s
}
