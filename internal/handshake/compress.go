package handshake

import (
	"fmt"

	"geerpc/internal/compress"
	"geerpc/internal/link"
)

// compress puts the compression in force that an acknowledgement names. The byte
// behind the handshake may be a newline; where all else is compressed, what
// decompresses skips that.
func (a *Ack) compress(l *link.Link) error {
	if a.Compression == "" {
		return nil
	}
	algorithm := compress.Lookup(a.Compression)
	if algorithm == nil {
		return &Error{Reason: WrongServer, Text: fmt.Sprintf("the server has chosen the compression %.64q, which is not known here", a.Compression)}
	}
	l.CompressReads(algorithm)
	l.CompressWrites(algorithm)
	return l.Cause()
}
