package webserver

import (
	"io"
	"net/http"
	"time"

	"geerpc/internal/usercode"
)

// Slow clients. Each byte that comes or goes begins a new wait, so that a large message may
// take its time.

// writePiece is how much of an answer a client has to take in time.
const writePiece = 64 << 10

// Write implements net.Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	defer usercode.Recover("the connection's Write", &err)
	for err == nil && n < len(p) {
		if c.writeTimeout > 0 {
			c.SetWriteDeadline(time.Now().Add(c.writeTimeout)) // fails on a connection without deadlines
		}
		var taken int
		taken, err = c.Conn.Write(p[n:min(len(p), n+writePiece)])
		n += taken
	}
	return n, err
}

// await returns the request with a body of which something has to come in time, whether the
// handler reads it or net/http, behind a handler that does not.
func (s *Server) await(w http.ResponseWriter, req *http.Request) *http.Request {
	if s.ReadTimeout <= 0 || req.Body == http.NoBody {
		return req
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(s.ReadTimeout))
	awaited := *req // net/http looks at the body of its own
	awaited.Body = awaitedBody{req.Body, control, s.ReadTimeout}
	return &awaited
}

// An awaitedBody is a request's body, for each piece of which there is a timeout.
type awaitedBody struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
}

// Read implements io.Reader. Behind the body net/http has deadlines of its own.
func (b awaitedBody) Read(p []byte) (int, error) {
	b.control.SetReadDeadline(time.Now().Add(b.timeout))
	return b.ReadCloser.Read(p)
}
