package geerpc

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"geerpc/internal/handshake"
	"geerpc/internal/opening"
	"geerpc/internal/streamconn"
	"geerpc/internal/webserver"
	"geerpc/internal/wire"
)

// HTTP on a server's own port. A connection that begins like HTTP is handed to an
// http.Server, which is the only one to parse it; the requests come to Server.ServeHTTP,
// as they do behind an http.Server of the user's.

// A web is the http.Server of a Server. The zero value is ready.
type web struct {
	made   sync.Once
	server *webserver.Server

	madeTLS sync.Once
	tls     *tls.Config // Server.TLSConfig without HTTP/2
}

// tlsConfig returns TLSConfig, but does not offer HTTP/2, which the server's own port does
// not speak. (The configs of autocert, for example, offer it.)
func (s *Server) tlsConfig() *tls.Config {
	s.web.madeTLS.Do(func() {
		s.web.tls = s.TLSConfig
		if offered := s.TLSConfig.NextProtos; slices.Contains(offered, "h2") {
			s.web.tls = s.TLSConfig.Clone()
			s.web.tls.NextProtos = slices.DeleteFunc(slices.Clone(offered), func(name string) bool { return name == "h2" })
		}
	})
	return s.web.tls
}

// webServer returns the http.Server.
func (s *Server) webServer() *webserver.Server {
	s.web.made.Do(func() {
		idle := s.IdleTimeout
		if idle <= 0 {
			idle = handshake.SilentTimeout
		}
		s.web.server = &webserver.Server{
			ReadTimeout:  s.readTimeout(),
			WriteTimeout: limit(s.FlushTimeout, DefaultFlushTimeout),
			HTTP:         http.Server{Handler: s, ReadHeaderTimeout: handshake.Timeout, IdleTimeout: idle, MaxHeaderBytes: 2 * MaxMetadataBytes},
			Log: func(line string) {
				s.report(slog.LevelWarn, "rpc server: "+strings.TrimSpace(line))
			},
		}
	})
	return s.web.server
}

// noHTTP returns why the connection can't go on with HTTP, empty if it can.
func (c *conn) noHTTP() string {
	switch {
	case c.afterConnect: // or clients could put layer upon layer
		return "HTTP is not served behind CONNECT"
	case streamconn.New(c.link.Conn).SetReadDeadline(time.Time{}) != nil: // net/http's only means to limit a read, or to end it
		return "HTTP is not served on a stream without deadlines"
	}
	return ""
}

// acceptHTTP counts a connection that begins like HTTP, or answers why there is no place
// for it.
func (c *conn) acceptHTTP() error {
	if refusal := c.claimPlace(); refusal != nil {
		answer := httpAnswer(refusal)
		answer.Status = http.StatusServiceUnavailable
		opening.Answer(c.link, answer.Text())
		return refusal
	}
	c.shaken.Store(true)
	if c.server.conns.IsStopped() { // Shutdown may have passed by
		c.drain(c.link.Context())
	}
	return nil
}

// serveHTTP serves requests until the connection is closed, or goes on in another way
// after a CONNECT.
func (c *conn) serveHTTP() {
	conn := wire.WithAhead(streamconn.New(c.link.Conn), c.link.In.Buffered())
	if taken := c.server.webServer().Serve(conn, c.peer.TLS, func() { c.server.conns.Remove(c) }); !taken {
		c.end(io.EOF)
	}
}
