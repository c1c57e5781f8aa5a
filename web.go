package geerpc

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"

	"geerpc/internal/handshake"
	"geerpc/internal/opening"
	"geerpc/internal/streamconn"
	"geerpc/internal/wire"
)

// HTTP on a server's own port. A connection that begins like HTTP is handed to an
// http.Server, which is the only one to parse it; the requests come to Server.ServeHTTP,
// as they do behind an http.Server of the user's.

// A webServer is the http.Server of a Server. It has no listener and no goroutine of its
// own: it is given connections one by one.
type webServer struct {
	made   sync.Once
	server *http.Server
}

// webServer returns the http.Server.
func (s *Server) webServer() *http.Server {
	s.web.made.Do(func() {
		idle := s.IdleTimeout
		if idle <= 0 {
			idle = handshake.SilentTimeout
		}
		s.web.server = &http.Server{
			Handler:           http.HandlerFunc(s.serveOnPort),
			ReadHeaderTimeout: handshake.Timeout,
			IdleTimeout:       idle,
			MaxHeaderBytes:    2 * MaxMetadataBytes,
			ErrorLog:          log.New(reportWriter{s}, "", 0),
			ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
				return context.WithValue(ctx, handedKey{}, conn)
			},
		}
	})
	return s.web.server
}

// A reportWriter has what an http.Server logs logged.
type reportWriter struct{ s *Server }

func (w reportWriter) Write(line []byte) (int, error) {
	w.s.report(slog.LevelWarn, "rpc server: "+strings.TrimSpace(string(line)))
	return len(line), nil
}

type handedKey struct{}

// serveOnPort serves a request that came to the server's own port.
func (s *Server) serveOnPort(w http.ResponseWriter, req *http.Request) {
	if h, ok := req.Context().Value(handedKey{}).(*handedConn); ok {
		req.TLS = h.of.peer.TLS // which the http.Server can't see
	}
	s.ServeHTTP(w, req)
}

// acceptHTTP counts a connection that begins like HTTP, or answers why there is no place
// for it.
func (c *conn) acceptHTTP() error {
	refusal := c.claimPlace()
	if c.shaken.Store(true); refusal == nil && c.server.conns.IsStopped() { // Shutdown may have passed by
		refusal = refuse(CodeUnavailable, "shutting down")
	}
	if refusal == nil {
		return nil
	}
	c.shaken.Store(false)
	opening.Answer(c.link, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+refusal.Message+"\n")
	return refusal
}

// serveHTTP serves requests until the connection is closed, or handed on after a CONNECT.
func (c *conn) serveHTTP() {
	h := &handedConn{Conn: streamconn.New(c.link.Conn), of: c, ahead: bytes.Clone(c.link.In.Buffered()), over: make(chan struct{})}
	lis := &oneListener{conn: h}
	c.server.webServer().Serve(lis) // returns at once
	if lis.conn != nil {            // it has been shut down
		h.Close()
	}
	<-h.over
	if !h.taken {
		c.end(io.EOF)
	}
}

// A oneListener accepts one connection, and no more.
type oneListener struct{ conn net.Conn }

// Accept implements net.Listener.
func (l *oneListener) Accept() (conn net.Conn, err error) {
	if conn, l.conn = l.conn, nil; conn == nil {
		return nil, io.EOF
	}
	return conn, nil
}

func (l *oneListener) Close() error   { return nil }
func (l *oneListener) Addr() net.Addr { return webAddr{} }

type webAddr struct{}

func (webAddr) Network() string { return "http" }
func (webAddr) String() string  { return "http" }

// A handedConn is a connection that an http.Server has been given.
type handedConn struct {
	net.Conn
	of    *conn
	ahead []byte // read and not yet taken

	taken bool // back, after a CONNECT
	once  sync.Once
	over  chan struct{} // closed when it is served no more
}

// Read implements net.Conn.
func (h *handedConn) Read(p []byte) (int, error) {
	if len(h.ahead) > 0 {
		n := copy(p, h.ahead)
		h.ahead = h.ahead[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// Close implements net.Conn.
func (h *handedConn) Close() error {
	err := h.Conn.Close()
	h.end()
	return err
}

func (h *handedConn) end() { h.once.Do(func() { close(h.over) }) }

// take takes the connection back from the http.Server, which has let go of it, to be served
// in another way. Then end must be called.
func (h *handedConn) take() net.Conn {
	h.taken = true
	h.of.server.conns.Remove(h.of)
	return wire.WithAhead(h.Conn, h.ahead)
}
