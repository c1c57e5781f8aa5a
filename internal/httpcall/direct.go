package httpcall

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"geerpc/codec"
)

// A direct is the codec of an Exchange that asks for one method by its path.
type direct struct {
	*Exchange
	read bool // the call has been
}

var _ codec.Extended = (*direct)(nil)

// ReadHeader implements codec.Codec.
func (c *direct) ReadHeader(h *codec.Header) error {
	if c.read {
		return io.EOF
	}
	c.read = true
	h.ServiceMethod, h.Seq = c.method, 1
	h.Frame().Timeout, h.Frame().Metadata = c.timeout, c.metadata
	return nil
}

// ReadBody implements codec.Codec. No body leaves the argument zero.
func (c *direct) ReadBody(arg any) error {
	body := c.body
	c.body = nil
	if arg == nil || len(body) == 0 {
		return nil
	}
	return json.Unmarshal(body, arg)
}

// Write implements codec.Codec. The JSON codec encodes the reply.
func (c *direct) Write(h *codec.Header, reply any) error {
	f := h.Frame()
	if h.Error == "" && f.Code == 0 {
		to := secondLine{c.Exchange, f.Metadata}
		return codec.NewJSONCodec(to).Write(new(codec.Header), reply)
	}
	answer := Failure(f.Code, f.Where, f.Ran, h.Error)
	answer.Metadata = f.Metadata
	c.finish(answer)
	return nil
}

// Extend implements codec.Extended. It is not called without a handshake.
func (c *direct) Extend() codec.Codec { return c }

// Ready implements codec.Extended: there is only one call.
func (c *direct) Ready() bool { return false }

// A secondLine answers with a reply that the JSON codec has encoded. The codec writes a
// message at once: a line that is the header, which HTTP has no use for, and the reply.
type secondLine struct {
	*Exchange
	metadata map[string]string
}

func (s secondLine) Write(message []byte) (int, error) {
	_, reply, _ := bytes.Cut(message, []byte("\n"))
	s.finish(&Answer{Status: http.StatusOK, Metadata: s.metadata, Body: bytes.Clone(reply)})
	return len(message), nil
}
