package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"geerpc/internal/link"
	"geerpc/internal/wire"
)

// errNoHandshake is why a server rejects what does not begin like a hello.
var errNoHandshake = errors.New("not a geerpc handshake")

// beginsObject reports whether a hello or an acknowledgement may begin with a byte.
// Other protocols begin with another one.
func beginsObject(first byte) bool { return bytes.IndexByte([]byte("{ \t\r\n"), first) >= 0 }

// peekObject waits for one JSON object, and reads nothing behind it. The caller
// discards the object.
func peekObject(in *wire.Reader) ([]byte, error) {
	var s wire.JSONScanner
	for end := 0; ; {
		data := in.Buffered()[end:]
		if len(data) == 0 {
			if err := in.More(); err != nil {
				if err == io.EOF && end > 0 {
					err = io.ErrUnexpectedEOF
				}
				return nil, err
			}
			continue
		}
		n, complete := s.Scan(data[:min(len(data), MaxBytes-end)])
		end += n
		if complete {
			return in.Buffered()[:end], nil
		}
		if end >= MaxBytes {
			return nil, fmt.Errorf("%w: more than %d bytes", errNoHandshake, MaxBytes)
		}
	}
}

// SkipNewline waits for the byte behind an object and drops it if it is a newline.
// An acknowledgement ends with one. Behind a hello there may be none, and then the
// wait is for the first message.
func SkipNewline(l *link.Link) error {
	first, err := l.In.Peek(1)
	if err == nil && first[0] == '\n' && !l.Compressed() {
		l.In.Discard(1)
	}
	return err
}
