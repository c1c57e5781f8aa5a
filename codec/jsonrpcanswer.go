package codec

import (
	"strconv"

	"geerpc/internal/codes"
)

// The numbers that the specification has for errors.
const (
	parseError     = -32700
	invalidRequest = -32600
	methodNotFound = -32601
	invalidParams  = -32602
	internalError  = -32603
	serverError    = -32000 // the highest of those that a server may give a meaning
)

// sendAnswer sends the answer to a call that is in no batch.
func (s *stream) sendAnswer(call *jsonrpcCall, h *Header, body any) error {
	buffer, start := s.begin()
	buffer, err := call.appendAnswer(buffer, h, body)
	if err != nil {
		return err
	}
	buffer = append(buffer, '\n')
	if err := s.fits(buffer[start:]); err != nil {
		return err
	}
	return s.send(buffer, start)
}

// appendAnswer appends the answer to a call: the reply, or the error that is in the
// header.
func (c *jsonrpcCall) appendAnswer(b []byte, h *Header, body any) (_ []byte, err error) {
	failed := h.Error != "" || h.frame.Code != 0
	if c.v1 {
		b = append(append(b, `{"id":`...), c.id...)
		if failed {
			return append(appendJSONString(append(b, `,"result":null,"error":`...), h.Error), '}'), nil
		}
		if b, err = appendJSONValue(append(b, `,"result":`...), body); err != nil {
			return nil, err
		}
		return append(b, `,"error":null}`...), nil
	}
	if failed {
		b = c.appendError(append(b, `{"jsonrpc":"2.0","error":`...), h)
	} else if b, err = appendJSONValue(append(b, `{"jsonrpc":"2.0","result":`...), body); err != nil {
		return nil, err
	}
	return append(append(append(b, `,"id":`...), c.id...), '}'), nil
}

// appendError appends the error in a header as an object.
func (c *jsonrpcCall) appendError(b []byte, h *Header) []byte {
	number := c.number
	if number == 0 {
		number = jsonrpcNumber(&h.frame)
	}
	b = strconv.AppendInt(append(b, `{"code":`...), int64(number), 10)
	b = appendJSONString(append(b, `,"message":`...), h.Error)
	f := &h.frame
	b, _ = appendJSONValue(append(b, `,"data":`...), codes.DetailOf(f.Code, f.Where, f.Ran)) // strings: it can't fail
	return append(b, '}')
}

// appendJSONValue appends v without a newline.
func appendJSONValue(b []byte, v any) ([]byte, error) {
	b, err := appendJSON(b, v)
	if err != nil {
		return nil, err
	}
	return b[:len(b)-1], nil
}

// jsonrpcNumber returns the number of an error. An error that a method returned has its
// code in the number, so that a method which does not find something is told apart from
// one that is not found.
func jsonrpcNumber(f *Frame) int {
	refused := f.Where == codes.InServer && f.Ran == codes.RanNever
	switch {
	case refused && f.Code == codes.NotFound:
		return methodNotFound
	case refused && f.Code == codes.InvalidArgument:
		return invalidParams
	case f.Code == codes.Internal:
		return internalError
	case f.Code == codes.Unknown || f.Code > 99: // 100 numbers are a server's
		return serverError
	}
	return serverError - int(f.Code)
}

// putNumber puts the meaning of a number into the header of a reply.
func putNumber(f *Frame, number int64) {
	f.Code, f.Where, f.Ran = codes.Unknown, codes.InServer, codes.RanMaybe
	switch number {
	case parseError, invalidRequest:
		f.Code, f.Ran = codes.InvalidArgument, codes.RanNever
	case methodNotFound:
		f.Code, f.Ran = codes.NotFound, codes.RanNever
	case invalidParams: // which methods say as well
		f.Code = codes.InvalidArgument
	case internalError:
		f.Code = codes.Internal
	}
}
