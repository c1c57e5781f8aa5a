package link

import (
	"io"

	"geerpc/internal/compress"
	"geerpc/internal/wire"
)

// CompressWrites compresses all that is written from now on. It first waits until the
// peer has taken what was written before.
func (l *Link) CompressWrites(a compress.Algorithm) {
	l.Out.Drain(l.ctx)
	l.Out.SetPacker(compress.NewPacker(a))
}

// Compressed reports whether what is read is being decompressed.
func (l *Link) Compressed() bool { return l.raw != l.In }

// CompressReads decompresses all that is read from now on.
func (l *Link) CompressReads(a compress.Algorithm) {
	l.raw = l.In.Unpack(func(below *wire.Reader) io.Reader { return compress.NewUnpacker(below, a) })
}
