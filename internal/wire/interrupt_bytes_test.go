package wire

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"
)

// lateReader returns bytes, and with them that its deadline has passed: crypto/tls does,
// if the beginning of another record was there.
type lateReader struct{ io.Reader }

func (l lateReader) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p[:1])
	if n > 0 {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

func (lateReader) SetReadDeadline(time.Time) error { return nil }

// An interrupted read that has brought bytes does not end the reading for good.
func TestInterruptWithBytes(t *testing.T) {
	late := lateReader{bytes.NewReader([]byte("abc"))}
	r := NewReader(late)
	r.deadliner = late
	r.Interrupt()
	if got, err := r.Peek(1); string(got) != "a" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if r.Err() != nil {
		t.Fatalf("nothing can be read because of %v", r.Err())
	}
	r.Resume()
	if got, err := r.Peek(2); string(got) != "ab" || err != nil {
		t.Fatalf("read %q, %v", got, err)
	}
	if r.Err() == nil {
		t.Error("a deadline of somebody else's does not end the reading")
	}
}
