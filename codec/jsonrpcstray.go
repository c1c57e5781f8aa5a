package codec

import (
	"bytes"
	"encoding/json"
	"errors"

	"geerpc/internal/codes"
)

// A stray is a JSON-RPC request to a jsonCodec, whose messages are a header and a body.
// It can't be met, but it is answered as its sender expects.

// firstStray is where the seqs of strays begin: clients count up from 1.
const firstStray = 1 << 63

var errStray = errors.New(`this is a JSON-RPC request, but the connection began with geerpc's hello: ` +
	`leave out the hello, or send {"ServiceMethod":"Service.Method","Seq":1} and then the argument`)

// isStray reports whether the header of a message is a JSON-RPC request.
func isStray(header []byte) bool {
	if !bytes.Contains(header, []byte(`"method"`)) {
		return false
	}
	var members struct {
		ServiceMethod json.RawMessage
		Method        json.RawMessage `json:"method"`
	}
	return json.Unmarshal(header, &members) == nil && members.ServiceMethod == nil && members.Method != nil
}

// readStray puts a stray into h. What is behind it is another message.
func (c *jsonCodec) readStray(h *Header, stray []byte) {
	c.message, c.body, c.unfit = len(stray), nil, errStray
	call, _ := new(jsonrpcRequest).parse(stray, nil, 0)
	call.number = invalidRequest
	if call.id == nil {
		call.id = jsonNull
	}
	*h = Header{Seq: firstStray + c.strays.add(call), Error: errStray.Error(),
		frame: Frame{Code: codes.InvalidArgument, Where: codes.InServer, Ran: codes.RanNever}}
}

// writeStray answers a stray, and reports whether h is about one.
func (c *jsonCodec) writeStray(h *Header) (stray bool, err error) {
	seq := h.Seq - firstStray
	call := c.strays.find(seq)
	if call == nil {
		return false, nil
	}
	if err = c.sendAnswer(call, h, nil); err == nil {
		c.strays.remove(seq)
	}
	return true, err
}
