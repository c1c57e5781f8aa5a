package httpcall

import (
	"bytes"
	"encoding/json"

	"geerpc/codec"
	"geerpc/internal/wire"
)

// A jsonRPC is the codec of an Exchange whose body is JSON-RPC: that of a connection, with
// what the headers of the request say of all its calls.
type jsonRPC struct {
	codec.Extended
	x *Exchange
}

func newJSONRPC(x *Exchange) *jsonRPC {
	stream := &jsonRPCStream{x, bytes.NewReader(x.body)}
	return &jsonRPC{codec.NewJSONRPCServer(stream).(codec.Extended), x}
}

// ReadHeader implements codec.Codec.
func (c *jsonRPC) ReadHeader(h *codec.Header) error {
	if err := c.Extended.ReadHeader(h); err != nil {
		return err
	}
	h.Frame().Timeout, h.Frame().Metadata = c.x.timeout, c.x.metadata
	return nil
}

// A jsonRPCStream is what that codec reads and writes. It writes an answer, or a batch of
// them, at once.
type jsonRPCStream struct {
	*Exchange
	body *bytes.Reader
}

// Read implements io.Reader.
func (s *jsonRPCStream) Read(p []byte) (int, error) { return s.body.Read(p) }

// MessageLimits limits the answer, because that to a batch could be of any size.
func (s *jsonRPCStream) MessageLimits() (read, write int) { return 0, s.maxBytes }

// checkAlone refuses a body that has no value, or several: there is one answer to a
// request. What is wrong with a value is the codec's business.
func checkAlone(body []byte) *Refusal {
	scanner := wire.JSONScanner{Strict: true}
	n, _ := scanner.Scan(body)
	if !scanner.Begun() {
		return badRequest("the body is empty: a request of JSON-RPC is one JSON value")
	}
	if len(bytes.TrimSpace(body[n:])) > 0 && json.Valid(body[:n]) {
		return badRequest("a request is one JSON value: send several as a batch, which is a list of them")
	}
	return nil
}
