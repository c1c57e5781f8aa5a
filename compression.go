package geerpc

import (
	"fmt"
	"slices"

	"geerpc/internal/compress"
)

// Compression is off unless both sides name the same algorithm, in
// Option.Compression and Server.Compression. All that follows the handshake is
// compressed then, in blocks, as it is flushed: small messages that leave together
// are compressed together. See SECURITY.md before you compress secrets.

// A Compression compresses blocks of up to 64 KiB, each on its own. It is safe for
// concurrent use. It neither changes src nor keeps src or dst. If Compress panics, the
// block is sent as it is; if Decompress does, the connection ends.
type Compression interface {
	// Compress appends what it makes of src to dst, which is empty, and returns
	// that. If it is no shorter than src, src is sent as it is.
	Compress(dst, src []byte) []byte

	// Decompress fills dst with what src was made of. It fails if that is not
	// len(dst) bytes.
	Decompress(dst, src []byte) error
}

// RegisterCompression makes a Compression known by a name, on this side; the other
// side must know it by the same name. "flate", compress/flate at its fastest level,
// is known from the start. It is called before the first Dial and Serve.
func RegisterCompression(name string, c Compression) { compress.Register(name, c) }

// chooseCompression returns the first of the client's compressions that the server
// allows, empty if there is none.
func (s *Server) chooseCompression(wanted []string) string {
	for _, name := range wanted {
		if slices.Contains(s.Compression, name) && compress.Lookup(name) != nil {
			return name
		}
	}
	return ""
}

// checkCompression returns an error if the client names an algorithm that it does
// not know itself.
func (opt *Option) checkCompression() error {
	for _, name := range opt.Compression {
		if compress.Lookup(name) == nil {
			return &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
				Message: fmt.Sprintf("rpc client: the compression %.64q is not registered; see RegisterCompression", name)}
		}
	}
	return nil
}
