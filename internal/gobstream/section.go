package gobstream

import (
	"fmt"
	"math"

	"geerpc/internal/wire"
)

// A Source holds the bytes of a stream, from where its reader stands.
type Source interface {
	// Peek returns the first n bytes, or an error if there are fewer. The
	// bytes are valid until the next call.
	Peek(n int) ([]byte, error)
}

// sections finds the sections of a source.
type sections struct {
	src Source
	max int // bytes up to the end of a section; 0: no limit
}

// at returns the section at offset off, without its length, and the offset of
// the next one. The section is valid until the next call. It is not peeked at
// before its length is known to be within the limit: gob itself would allocate
// up to 10 MiB for a false length.
func (s sections) at(off int) (section []byte, next int, err error) {
	var data []byte
	length, n := 0, 1
	for length == 0 {
		if data, err = s.src.Peek(off + n); err != nil {
			return nil, 0, err
		}
		if length, n, err = parseLength(data[off:]); err != nil {
			return nil, 0, err
		}
	}
	next = off + n + length
	if wire.Exceeds(next, s.max) {
		return nil, 0, wire.TooLarge(next, s.max)
	}
	if data, err = s.src.Peek(next); err != nil {
		return nil, 0, err
	}
	return data[off+n:], next, nil
}

// parseLength returns the length at the start of a section and how many bytes
// it takes itself. Only if data is shorter than that, length is zero.
func parseLength(data []byte) (length, n int, err error) {
	x, n, err := parseUint(data)
	if err != nil || n > len(data) {
		return 0, n, err
	}
	if x == 0 || x > math.MaxInt32 {
		return 0, 0, fmt.Errorf("%w: gob section of %d bytes", wire.ErrCorrupt, x)
	}
	return int(x), n, nil
}

// complete is a Source of a stream that is all there.
type complete []byte

// Peek implements Source.
func (c *complete) Peek(n int) ([]byte, error) {
	if n > len(*c) {
		return nil, errValueCut
	}
	return (*c)[:n], nil
}
