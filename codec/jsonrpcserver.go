package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"geerpc/internal/codes"
)

// A jsonrpcServer is the server's end of a connection that speaks JSON-RPC. What it reads
// and can't understand becomes a Call with an error, so that it is answered like a call
// is.
type jsonrpcServer struct {
	jsonStream
	calls jsonrpcCalls

	// These belong to the goroutine that reads.
	entries []json.RawMessage // of the batch being read
	batch   *jsonrpcBatch     // that they belong to
	request jsonrpcRequest    // being read
	v1      bool              // the dialect of the request
	unfit   error             // why it is none
	ended   bool              // nothing more is read

	batches jsonrpcBatches
}

// NewJSONRPCServer returns the codec of a server that speaks JSON-RPC on conn, without a
// handshake: 2.0, batches and notifications included, and 1.0 as clients of package
// net/rpc/jsonrpc speak it. Each request is answered in its own dialect.
//
// Params are a method's argument: an object, or a list with the argument as its only
// element. Any other list gives a struct its fields in the order of their declaration,
// and is the argument if that is a slice, an array or an interface. An empty list, and
// no params, leave the argument zero. In 1.0, params are always a list that has the
// argument as its first element.
//
// A request that is not valid, or is larger than allowed, is read as a Call whose
// Header.Error says so, and is to be answered with that error.
//
// JSON-RPC has no place for the time that a call has left, nor for metadata.
func NewJSONRPCServer(conn io.ReadWriteCloser) Codec {
	return &jsonrpcServer{jsonStream: newJSONRPCStream(conn)}
}

func newJSONRPCStream(conn io.ReadWriteCloser) jsonStream {
	return jsonStream{stream: newStream(conn), scan: jsonScan{alone: true}}
}

// Extend implements Extended.
func (s *jsonrpcServer) Extend() Codec { return s }

// Ready implements Extended.
func (s *jsonrpcServer) Ready() bool { return len(s.entries) > 0 || s.jsonStream.Ready() }

// ReadHeader implements Codec. It returns io.EOF behind what is not JSON, because nobody
// can tell where the next request begins.
func (s *jsonrpcServer) ReadHeader(h *Header) error {
	s.request, s.unfit = jsonrpcRequest{}, nil
	switch {
	case len(s.entries) > 0:
		s.nextEntry(h)
		return nil
	case s.ended:
		return io.EOF
	}
	s.next()
	err := s.await()
	cut := err == io.ErrUnexpectedEOF && s.scan.begun() // its client may still read
	switch {
	case errors.Is(err, ErrTooLarge):
		s.refuseLast(h, invalidRequest, codes.ResourceExhausted, err)
		return nil
	case err != nil && !cut:
		return err
	}
	if _, message := s.take(); isJSONList(message) {
		s.readBatch(h, message)
	} else {
		s.accept(h, message, nil, 0)
	}
	return nil
}

// accept puts a request into h.
func (s *jsonrpcServer) accept(h *Header, message []byte, batch *jsonrpcBatch, place int) {
	call, err := s.request.parse(message, batch, place)
	s.v1 = call.v1
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		s.refuseLast(h, parseError, codes.InvalidArgument, err)
	case err != nil:
		s.refuse(h, call, codes.InvalidArgument, err)
	default:
		*h = Header{ServiceMethod: *s.request.Method, Seq: s.calls.add(call), frame: Frame{NetRPC: call.v1}}
	}
}

// refuse puts into h a call that is no valid request.
func (s *jsonrpcServer) refuse(h *Header, call *jsonrpcCall, code uint8, why error) {
	what := "Invalid Request"
	if call.number == parseError {
		what = "Parse error"
	}
	s.unfit = fmt.Errorf("%s: %w", what, why)
	*h = Header{Seq: s.calls.add(call), Error: s.unfit.Error(),
		frame: Frame{Code: code, Where: codes.InServer, Ran: codes.RanNever}}
}

// refuseLast is refuse for a message behind which nothing can be read.
func (s *jsonrpcServer) refuseLast(h *Header, number int, code uint8, why error) {
	s.ended = true
	s.refuse(h, &jsonrpcCall{id: jsonNull, number: number}, code, why)
}

// ReadBody implements Codec.
func (s *jsonrpcServer) ReadBody(body any) error {
	params := s.request.Params
	s.request = jsonrpcRequest{}
	switch {
	case body == nil:
		return nil
	case s.unfit != nil:
		return s.unfit
	case s.v1:
		return unmarshalParams1(params, body)
	}
	return unmarshalParams(params, body)
}

// Write implements Codec. A call that could not be answered can be answered with
// something else.
func (s *jsonrpcServer) Write(h *Header, body any) error {
	call := s.calls.find(h.Seq)
	if call == nil {
		return fmt.Errorf("no request with seq %d is waiting for an answer", h.Seq)
	}
	err := jsonNesting.Check(body, s.conn.MaxWrite)
	switch {
	case err != nil:
	case call.batch != nil:
		err = s.gather(call, h, body)
	case call.id != nil:
		err = s.sendAnswer(call, h, body)
	}
	if err == nil {
		s.calls.remove(h.Seq)
	}
	return err
}
