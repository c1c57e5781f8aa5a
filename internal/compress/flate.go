package compress

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

// Flate is compress/flate at its fastest level. What it works with is large, and
// shared by all connections.
type Flate struct{}

var (
	flateWriters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a valid one
		return w
	}}
	flateReaders = sync.Pool{New: func() any { return flate.NewReader(empty{}) }}
)

// An empty reader is at its end.
type empty struct{}

// Read implements io.Reader.
func (empty) Read([]byte) (int, error) { return 0, io.EOF }

// ReadByte implements io.ByteReader, without which flate makes a buffer.
func (empty) ReadByte() (byte, error) { return 0, io.EOF }

// Compress implements Algorithm.
func (Flate) Compress(dst, src []byte) []byte {
	w := flateWriters.Get().(*flate.Writer)
	defer func() {
		w.Reset(io.Discard) // the pool keeps no connection's buffer
		flateWriters.Put(w)
	}()
	out := appender{dst}
	w.Reset(&out)
	w.Write(src) // an appender has no errors
	w.Close()
	return out.bytes
}

// An appender is an io.Writer that appends.
type appender struct{ bytes []byte }

// Write implements io.Writer.
func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}

var errMore = errors.New("more bytes than the block is to have")

// Decompress implements Algorithm.
func (Flate) Decompress(dst, src []byte) error {
	r := flateReaders.Get().(io.ReadCloser)
	defer func() {
		r.(flate.Resetter).Reset(empty{}, nil)
		flateReaders.Put(r)
	}()
	r.(flate.Resetter).Reset(bytes.NewReader(src), nil)
	if _, err := io.ReadFull(r, dst); err != nil {
		return err
	}
	var one [1]byte
	if n, err := r.Read(one[:]); n > 0 || err != io.EOF {
		return errors.Join(errMore, err)
	}
	return nil
}
