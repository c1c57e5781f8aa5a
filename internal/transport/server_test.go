package transport

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/handshake"
	"geerpc/internal/wire"
)

// A connection without TLS has no handshake to do. Of one with TLS whose handshake
// fails it is known whether the client has said anything.
func TestHandshakeTLS(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if state, heard, err := HandshakeTLS(far); state != nil || !heard || err != nil {
		t.Errorf("without TLS: %v, %v, %v", state, heard, err)
	}
	for _, c := range []struct {
		name, says string
		heard      bool
		after      time.Duration
	}{
		{"silence", "", false, handshake.Timeout},
		{"another protocol", "GET / HTTP/1.0\r\n\r\n", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer near.Close()
				go io.WriteString(near, c.says) // ends with the connection
				start := time.Now()
				secured := wire.WithAhead(tls.Server(far, &tls.Config{}), nil)
				state, heard, err := HandshakeTLS(secured)
				if took := time.Since(start); state == nil || heard != c.heard || err == nil || took != c.after {
					t.Errorf("%v, %v after %v", heard, err, took)
				}
				far.Close()
			})
		})
	}
}
