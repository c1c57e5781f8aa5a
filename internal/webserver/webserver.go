// Package webserver is an http.Server that is given connections one by one, instead of a
// listener.
//
//	Serve(conn) ──→ requests ──→ Handler
//	  │                             │ hijacks one, and takes back the connection beneath
//	  │←──── closed ────────────────┴──→ it goes on in another way, until done is called
package webserver

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"geerpc/internal/usercode"
)

// A Server serves HTTP. The fields are set before it is used.
type Server struct {
	HTTP http.Server
	Log  func(line string) // what the http.Server logs

	// ReadTimeout limits how long the client may send nothing of the body of a request,
	// WriteTimeout how long it may take nothing of an answer. 0 is no limit. Those of
	// HTTP, for all of a request or an answer, are to be left alone.
	ReadTimeout, WriteTimeout time.Duration

	made sync.Once
}

// server returns the http.Server.
func (s *Server) server() *http.Server {
	s.made.Do(func() {
		handler := s.HTTP.Handler
		s.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if c, ok := req.Context().Value(connKey{}).(*conn); ok {
				req.TLS = c.state // which the http.Server can't see
			}
			handler.ServeHTTP(w, s.await(w, req))
		})
		s.HTTP.ErrorLog = log.New(writerFunc(s.Log), "", 0)
		s.HTTP.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		}
	})
	return &s.HTTP
}

type connKey struct{}

// A writerFunc is a writer of lines.
type writerFunc func(line string)

func (f writerFunc) Write(line []byte) (int, error) {
	f(string(line))
	return len(line), nil
}

// Serve serves the requests of a connection, over TLS if there is a state. It returns when
// the connection is closed or, if it has been taken back, when done has been called, and
// reports which. As soon as it is taken back, leave is called.
func (s *Server) Serve(below net.Conn, state *tls.ConnectionState, leave func()) (taken bool) {
	c := &conn{Conn: below, state: state, leave: leave, writeTimeout: s.WriteTimeout, over: make(chan struct{})}
	lis := &oneListener{conn: c}
	s.server().Serve(lis)
	if lis.conn != nil { // it has been shut down
		c.Close()
	}
	<-c.over
	return c.taken
}

// Shutdown closes the connections as soon as they are idle, at the latest when ctx ends.
func (s *Server) Shutdown(ctx context.Context) { s.server().Shutdown(ctx) }

// TakeBack returns the connection that Serve was given, if hijacked is what came of that.
// It belongs to the caller, who calls done when it is over.
func TakeBack(hijacked net.Conn) (below net.Conn, done func()) {
	c, ok := hijacked.(*conn)
	if !ok {
		return hijacked, func() {}
	}
	c.SetWriteDeadline(time.Time{}) // that of Write
	c.taken = true
	c.leave()
	return c.Conn, c.end
}

// A conn is a connection that the http.Server has been given. It may be a user's beneath,
// and net/http calls it where nobody recovers from a panic.
type conn struct {
	net.Conn
	state *tls.ConnectionState
	leave func()

	writeTimeout time.Duration

	taken bool // back
	once  sync.Once
	over  chan struct{} // closed when it is served no more
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (n int, err error) {
	defer usercode.Recover("the connection's Read", &err)
	return c.Conn.Read(p)
}

// Close implements net.Conn.
func (c *conn) Close() (err error) {
	defer c.end()
	defer usercode.Recover("the connection's Close", &err)
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return usercode.RemoteAddr(c.Conn) }

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return usercode.LocalAddr(c.Conn) }

func (c *conn) end() { c.once.Do(func() { close(c.over) }) }

// A oneListener accepts one connection, and no more.
type oneListener struct{ conn net.Conn }

// Accept implements net.Listener.
func (l *oneListener) Accept() (c net.Conn, err error) {
	if c, l.conn = l.conn, nil; c == nil {
		return nil, io.EOF
	}
	return c, nil
}

// Close implements net.Listener.
func (l *oneListener) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }
