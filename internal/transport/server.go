package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"geerpc/internal/handshake"
	"geerpc/internal/opening"
)

// HandshakeTLS is the server's side of the TLS handshake, if conn has one to do. It
// returns the state of TLS, nil if there is none, even if the handshake fails. Then it
// also reports whether the client has been heard. A client that sends a part of its
// ClientHello only and then resets the connection, or waits, can't be told from one that
// is silent.
func HandshakeTLS(conn io.ReadWriteCloser) (state *tls.ConnectionState, heard bool, err error) {
	if secured, ok := conn.(interface{ HandshakeContext(context.Context) error }); ok {
		ctx, cancel := context.WithTimeout(context.Background(), handshake.Timeout)
		defer cancel()
		err = secured.HandshakeContext(ctx)
	}
	if record := (tls.RecordHeaderError{}); errors.As(err, &record) {
		if name := opening.Guess(record.RecordHeader[:]); name != "" {
			err = fmt.Errorf("%w: it is %s without TLS", err, name)
		}
	}
	state = stateOf(conn)
	heard = state == nil || state.Version != 0 // crypto/tls has read the ClientHello
	if !heard {
		var read *net.OpError
		heard = !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &read) && read.Op == "read")
	}
	return state, heard, err
}

// stateOf returns the state of TLS on a connection, or nil.
func stateOf(conn io.ReadWriteCloser) *tls.ConnectionState {
	for c, ok := conn.(interface{ Unwrap() net.Conn }); ok; c, ok = conn.(interface{ Unwrap() net.Conn }) {
		conn = c.Unwrap()
	}
	if c, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := c.ConnectionState()
		return &state
	}
	return nil
}
