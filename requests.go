package geerpc

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"geerpc/codec"
	"geerpc/internal/connset"
	"geerpc/internal/httpcall"
	"geerpc/internal/usercode"
)

// Calls over HTTP. A request is served like a connection that carries nothing else, so
// that its calls pass what all others pass. It counts as no connection; Shutdown waits
// for it. Package httpcall has what is HTTP's about it.

// serveRequest serves a request that is a call.
func (s *Server) serveRequest(w http.ResponseWriter, req *http.Request) {
	x, refusal := s.requestRules().Read(w, req)
	if refusal != nil {
		s.noteRequestRefused(req, refusal)
		refusal.Write(w)
		return
	}
	s.offerIntrospection()
	c := newConn(s, x.Conn(), &Protocol{Name: HTTP.Name, CodecType: HTTP.CodecType, ServerCodec: x.NewCodec})
	c.brief = true
	if err := s.conns.AddBrief(c, s.maxInFlight()); err != nil {
		c.link.Fail(err)
		s.notTaken(err).Write(w)
		return
	}
	written := make(chan struct{})
	defer close(written)
	stop := context.AfterFunc(req.Context(), func() { c.link.Fail(io.EOF) }) // the client has gone
	defer stop()
	go func() { // ends with the method, which may go on after its handle timeout, and with the answer; Shutdown waits
		defer s.conns.Remove(c)
		c.serve()
		<-written
	}()
	<-x.Done()
	c.answerOf(x).Write(w)
}

// notTaken returns the answer to a request that may not be served, as it is for a call.
func (s *Server) notTaken(why error) *httpcall.Answer {
	if why == connset.ErrFull {
		return httpAnswer(refuse(CodeResourceExhausted, "rpc server: more than the %d requests at a time that Server.MaxInFlight allows (a method that runs on after its handle timeout counts)", s.maxInFlight()))
	}
	return httpAnswer(refuse(CodeUnavailable, "rpc server: %s", why))
}

// answerOf returns the answer to a request that is done.
func (c *conn) answerOf(x *httpcall.Exchange) *httpcall.Answer {
	if a := x.Answer(); a != nil {
		return a
	}
	switch cause := c.link.Cause(); cause {
	case errDone: // there were notifications of JSON-RPC only
		return httpcall.Empty
	case io.EOF:
		return httpAnswer(&Error{Code: CodeCanceled, Where: OnLink, Message: "the client has hung up"})
	default:
		return httpAnswer(&Error{Code: CodeUnavailable, Where: OnLink, Message: usercode.ErrorText(cause)})
	}
}

func httpAnswer(e *Error) *httpcall.Answer {
	return httpcall.Failure(uint8(e.Code), uint8(e.Where), uint8(e.Ran), e.Message)
}

// requestRules returns what the server asks of a request.
func (s *Server) requestRules() httpcall.Rules {
	rules := httpcall.Rules{Token: s.Token, MaxBytes: limit(s.MaxMessageBytes, DefaultMaxMessageBytes),
		JSONRPC: slices.Contains(s.protocols(), JSONRPC)}
	switch {
	case !slices.Contains(s.protocols(), HTTP):
		rules.Off = "this server takes no calls over HTTP (Server.Protocols)"
	case !s.serves(codec.JsonType):
		rules.Off = fmt.Sprintf("this server takes no JSON (Server.Codecs), but %q", s.Codecs)
	}
	return rules
}

// noteRequestRefused counts and logs a request that is refused, unless it was no attempt to
// call.
func (s *Server) noteRequestRefused(req *http.Request, why *httpcall.Refusal) {
	if why.Status == http.StatusMethodNotAllowed {
		return
	}
	s.unserved.Add(why.Message, req.RemoteAddr)
	s.report(slog.LevelWarn, "rpc server: request refused", "peer", req.RemoteAddr, "status", why.Status, "err", why)
}
