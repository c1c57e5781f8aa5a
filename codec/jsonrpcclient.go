package codec

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"geerpc/internal/codes"
)

// A jsonrpcClient is the client's end of a connection that speaks JSON-RPC.
type jsonrpcClient struct {
	jsonStream
	v1      bool              // requests are those of net/rpc/jsonrpc
	answers []json.RawMessage // of the batch being read
	result  json.RawMessage   // of the answer being read
}

// NewJSONRPCClient returns the codec of a client that speaks JSON-RPC 2.0 on conn,
// without a handshake. Arguments that JSON has as an object or a list are the params,
// others are the only element of a list. Nil means that there are no params.
//
// A list of a single list is ambiguous: a method of ours whose argument may be either of
// the two gets the inner one.
//
// JSON-RPC has no place for the time that a call has left, nor for metadata. An error
// has a code, and where and whether the method ran, if the server is one of ours, or if
// its number says so.
func NewJSONRPCClient(conn io.ReadWriteCloser) Codec {
	return &jsonrpcClient{jsonStream: newJSONRPCStream(conn)}
}

// NewJSONRPC1Client returns the codec of a client of servers that use package
// net/rpc/jsonrpc. Errors have a text and nothing else.
func NewJSONRPC1Client(conn io.ReadWriteCloser) Codec {
	return &jsonrpcClient{jsonStream: newJSONRPCStream(conn), v1: true}
}

// Extend implements Extended.
func (c *jsonrpcClient) Extend() Codec { return c }

// Ready implements Extended.
func (c *jsonrpcClient) Ready() bool { return len(c.answers) > 0 || c.jsonStream.Ready() }

// Write implements Codec.
func (c *jsonrpcClient) Write(h *Header, body any) error {
	if err := jsonNesting.Check(body, c.conn.MaxWrite); err != nil {
		return err
	}
	buffer, start := c.begin()
	if c.v1 {
		buffer = append(buffer, `{"method":`...)
	} else {
		buffer = append(buffer, `{"jsonrpc":"2.0","method":`...)
	}
	buffer, err := c.appendParams(appendJSONString(buffer, h.ServiceMethod), body)
	if err != nil {
		return err
	}
	buffer = strconv.AppendUint(append(buffer, `,"id":`...), h.Seq, 10)
	buffer = append(buffer, "}\n"...)
	if err := c.fits(buffer[start:]); err != nil {
		return err
	}
	return c.send(buffer, start)
}

// appendParams appends the params of a request, if there are any.
func (c *jsonrpcClient) appendParams(b []byte, body any) ([]byte, error) {
	before := len(b)
	b = append(b, `,"params":`...)
	at := len(b)
	b, err := appendJSONValue(b, body)
	switch {
	case err != nil:
		return nil, err
	case !c.v1 && string(b[at:]) == "null":
		return b[:before], nil
	case c.v1 || b[at] != '{' && b[at] != '[':
		return append(slices.Insert(b, at, '['), ']'), nil
	}
	return b, nil
}

// ReadHeader implements Codec. What is no answer has a kind that is ignored.
func (c *jsonrpcClient) ReadHeader(h *Header) error {
	c.result = nil
	if len(c.answers) == 0 {
		c.next()
		if err := c.await(); err != nil {
			return err
		}
		_, message := c.take()
		if !isJSONList(message) {
			return c.accept(h, message)
		}
		if err := c.readBatch(message); err != nil {
			return err
		}
	}
	answer := c.answers[0]
	if c.answers = c.answers[1:]; len(c.answers) == 0 {
		c.answers = nil
	}
	return c.accept(h, answer)
}

// readBatch takes a list of answers apart.
func (c *jsonrpcClient) readBatch(message []byte) error {
	if err := checkJSON(message); err != nil {
		return fmt.Errorf("%w: answers: %w", ErrCorrupt, err)
	}
	answers, more := splitJSON(message, maxBatch)
	if more || len(answers) == 0 {
		return fmt.Errorf("%w: a list of no answers, or of more than %d", ErrCorrupt, maxBatch)
	}
	c.answers = answers
	return nil
}

// A jsonrpcAnswer is an answer as it arrives, in either dialect.
type jsonrpcAnswer struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Method json.RawMessage `json:"method"` // of a request: servers may send them, too
}

// accept puts an answer into h.
func (c *jsonrpcClient) accept(h *Header, message []byte) error {
	*h = Header{frame: Frame{Kind: unknownKind}}
	var a jsonrpcAnswer
	if err := json.Unmarshal(message, &a); err != nil {
		return fmt.Errorf("%w: answer: %w", ErrCorrupt, err)
	}
	failed := len(a.Error) > 0 && string(a.Error) != "null"
	nobodys := len(a.ID) == 0 || string(a.ID) == "null"
	seq, err := strconv.ParseUint(string(a.ID), 10, 64)
	switch {
	case a.Method != nil:
		return nil
	case failed && nobodys:
		a.putError(h)
		return fmt.Errorf("the server could not read a request: %s", h.Error)
	case err != nil:
		return nil
	}
	h.Seq, h.frame.Kind = seq, Reply
	if failed {
		a.putError(h)
	}
	c.result = a.Result
	return nil
}

// putError puts the error of an answer into h.
func (a *jsonrpcAnswer) putError(h *Header) {
	var e struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(a.Error, &h.Error) != nil { // 2.0, or whatever else a server says
		json.Unmarshal(a.Error, &e)
		if h.Error = e.Message; h.Error == "" {
			h.Error = string(a.Error)
		}
	}
	if h.Error == "" {
		h.Error = "unspecified error"
	}
	number, _ := strconv.ParseInt(string(e.Code), 10, 64) // 0: it is none
	putNumber(&h.frame, number)
	var detail codes.Detail
	json.Unmarshal(e.Data, &detail)
	if code, where, ran, ours := detail.Numbers(); ours && code != codes.OK {
		h.frame.Code, h.frame.Where, h.frame.Ran = code, where, ran
	}
}

// ReadBody implements Codec.
func (c *jsonrpcClient) ReadBody(body any) error {
	result := c.result
	c.result = nil
	if body == nil || len(result) == 0 { // some servers leave out a result that is null
		return nil
	}
	return unmarshalJSON(result, body)
}
