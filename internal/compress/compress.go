// Package compress packs a stream of bytes into blocks, each compressed on its
// own, so that both ends need memory for one block only, and only while there is
// one. A block begins with a byte that says what it is:
//
//	┌───┬────────────┬───────┐
//	│ 0 │ raw length │ bytes │                        as they were
//	└───┴────────────┴───────┘
//	┌───┬────────────┬──────────────┬─────────────┐
//	│ 1 │ raw length │ coded length │ coded bytes │   compressed
//	└───┴────────────┴──────────────┴─────────────┘
//
// A length has two bytes, in big endian, and is written as one less: 1 to 65,536.
// Small blocks, and those that do not get smaller, stay as they are. The raw length
// is exact and known before anything is decoded, so that a few bytes can't become
// more memory than a block.
package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"geerpc/internal/usercode"
)

// MaxBlock is how many bytes a block stands for at most.
const MaxBlock = 64 << 10

const (
	plain      = 0
	compressed = 1

	plainHeader      = 3
	compressedHeader = 5

	minBlock = 256 // a smaller block is not compressed: it would hardly get smaller
)

// An Algorithm compresses and decompresses a block. It is safe for concurrent
// use.
type Algorithm interface {
	// Compress appends what it makes of src to dst, which is empty, and returns
	// that.
	Compress(dst, src []byte) []byte

	// Decompress fills dst with what src was made of. It fails if that is not
	// len(dst) bytes.
	Decompress(dst, src []byte) error
}

// ErrCorrupt means that a block is not what a Packer made.
var ErrCorrupt = errors.New("compressed block is corrupt")

// A Packer makes blocks.
type Packer struct{ algorithm Algorithm }

// NewPacker returns a Packer that uses an algorithm.
func NewPacker(a Algorithm) *Packer { return &Packer{a} }

// Pack appends src as blocks to dst, and returns that.
func (p *Packer) Pack(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), MaxBlock)
		dst = p.packBlock(dst, src[:n])
		src = src[n:]
	}
	return dst
}

func (p *Packer) packBlock(dst, raw []byte) []byte {
	if len(raw) >= minBlock {
		dst = append(dst, compressed)
		dst = appendLength(dst, len(raw))
		dst = append(dst, 0, 0) // the coded length
		coded := p.compress(dst[len(dst):], raw)
		if len(coded) > 0 && len(coded) < len(raw) {
			binary.BigEndian.PutUint16(dst[len(dst)-2:], uint16(len(coded)-1))
			return append(dst, coded...) // mostly they are there already
		}
		dst = dst[:len(dst)-compressedHeader]
	}
	dst = appendLength(append(dst, plain), len(raw))
	return append(dst, raw...)
}

func appendLength(dst []byte, n int) []byte { return binary.BigEndian.AppendUint16(dst, uint16(n-1)) }

func lengthAt(b []byte) int { return int(binary.BigEndian.Uint16(b)) + 1 }

// compress calls the algorithm, which may be a user's. If that panics, the block
// is left as it is.
func (p *Packer) compress(dst, raw []byte) (coded []byte) {
	defer func() {
		if recover() != nil {
			coded = nil
		}
	}()
	return p.algorithm.Compress(dst, raw)
}

// A Source is what an Unpacker reads from; *wire.Reader is one.
type Source interface {
	// Peek returns the next n bytes, and io.EOF if there are none at all.
	Peek(n int) ([]byte, error)
	// Discard drops bytes that have been peeked at.
	Discard(n int)
}

// An Unpacker is the stream that a Packer made blocks of. It is for one
// goroutine.
type Unpacker struct {
	src       Source
	algorithm Algorithm
	begun     bool            // the first block has been looked for
	block     *[MaxBlock]byte // nil: there is none
	rest      []byte          // of it, decoded and not yet read
}

// blocks are those of which nothing is left to be read.
var blocks = sync.Pool{New: func() any { return new([MaxBlock]byte) }}

// NewUnpacker returns an Unpacker that reads blocks from src. A newline before the
// first of them is skipped: it may end what was sent before.
func NewUnpacker(src Source, a Algorithm) *Unpacker { return &Unpacker{src: src, algorithm: a} }

// Read implements io.Reader. It waits for one whole block at most.
func (u *Unpacker) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(u.rest) == 0 {
		if n, err := u.readBlock(p); n > 0 || err != nil {
			return n, err
		}
	}
	n := copy(p, u.rest)
	if u.rest = u.rest[n:]; len(u.rest) == 0 {
		blocks.Put(u.block)
		u.rest, u.block = nil, nil
	}
	return n, nil
}

// A blockHeader is what a block says of itself.
type blockHeader struct {
	bytes int // length of the header
	raw   int // bytes that the block stands for
	coded int // bytes behind the header
}

// readBlock reads a block into p or, if it does not fit, into u.rest.
func (u *Unpacker) readBlock(p []byte) (n int, err error) {
	h, err := u.peekHeader()
	if err != nil {
		return 0, err
	}
	block, err := u.src.Peek(h.bytes + h.coded)
	if err != nil {
		return 0, err
	}
	fits := h.raw <= len(p)
	if !fits {
		u.block = blocks.Get().(*[MaxBlock]byte)
		p = u.block[:]
	}
	if h.bytes == plainHeader {
		copy(p, block[h.bytes:])
	} else if err := u.decompress(p[:h.raw], block[h.bytes:]); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	u.src.Discard(len(block))
	if !fits {
		u.rest = u.block[:h.raw]
		return 0, nil
	}
	return h.raw, nil
}

// peekHeader returns the header of the next block.
func (u *Unpacker) peekHeader() (h blockHeader, err error) {
	if err := u.skipNewline(); err != nil {
		return h, err
	}
	b, err := u.src.Peek(plainHeader)
	if err != nil {
		return h, err
	}
	raw := lengthAt(b[1:])
	switch b[0] {
	case plain:
		return blockHeader{plainHeader, raw, raw}, nil
	case compressed:
		if b, err = u.src.Peek(compressedHeader); err != nil {
			return h, err
		}
		if coded := lengthAt(b[3:]); coded < raw {
			return blockHeader{compressedHeader, raw, coded}, nil
		}
		return h, fmt.Errorf("%w: %d bytes are coded in no fewer", ErrCorrupt, raw)
	}
	return h, fmt.Errorf("%w: it begins with %d", ErrCorrupt, b[0])
}

// skipNewline drops a newline before the first block.
func (u *Unpacker) skipNewline() error {
	if u.begun {
		return nil
	}
	first, err := u.src.Peek(1)
	if err != nil {
		return err
	}
	if u.begun = true; first[0] == '\n' {
		u.src.Discard(1)
	}
	return nil
}

// decompress calls the algorithm, which may be a user's.
func (u *Unpacker) decompress(dst, src []byte) (err error) {
	defer usercode.Recover("decompressing a block", &err)
	return usercode.Error(u.algorithm.Decompress(dst, src))
}
