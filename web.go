package geerpc

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

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
