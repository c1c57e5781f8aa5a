package rpctest

import (
	"bufio"
	"encoding/gob"
	"io"

	"geerpc/codec"
)

// A wholeCodec is a codec as programs written for GeeRPC have them: it sends
// the Header as it is, knows nothing of our layouts, buffers its output and
// closes the connection when something can't be encoded.
type wholeCodec struct {
	rwc io.ReadWriteCloser
	in  *gob.Decoder
	out *gob.Encoder
	buf *bufio.Writer
}

// WholeType is the type of that codec.
const WholeType codec.Type = "test/whole-gob"

// NewWholeCodec returns a codec as programs written for GeeRPC have them.
func NewWholeCodec(rwc io.ReadWriteCloser) codec.Codec {
	c := &wholeCodec{rwc: rwc, in: gob.NewDecoder(rwc), buf: bufio.NewWriter(rwc)}
	c.out = gob.NewEncoder(c.buf)
	return c
}

func init() { codec.NewCodecFuncMap[WholeType] = NewWholeCodec }

func (c *wholeCodec) ReadHeader(h *codec.Header) error { return c.in.Decode(h) }
func (c *wholeCodec) ReadBody(body any) error          { return c.in.Decode(body) }
func (c *wholeCodec) Close() error                     { return c.rwc.Close() }

func (c *wholeCodec) Write(h *codec.Header, body any) error {
	err := c.out.Encode(h)
	if err == nil {
		err = c.out.Encode(body)
	}
	c.buf.Flush()
	if err != nil {
		c.Close()
	}
	return err
}
