package httpcall

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"geerpc/codec"
)

// An Exchange is a request whose body has been read, and the answer to it. To the core it
// is a connection, which ends when it has been answered.
type Exchange struct {
	method   string // Service.Method; empty: JSON-RPC
	timeout  int64  // nanoseconds that the caller waits; 0: for ever
	metadata map[string]string
	body     []byte
	peer     net.Addr
	tls      *tls.ConnectionState // nil without TLS
	maxBytes int                  // in an answer of JSON-RPC; 0: no limit

	once   sync.Once
	answer *Answer
	done   chan struct{} // closed when answer is set, or stays nil
}

func (x *Exchange) isJSONRPC() bool { return x.method == "" }

// Conn returns the Exchange as the core's connection.
func (x *Exchange) Conn() io.ReadWriteCloser {
	if x.tls != nil {
		return secured{x}
	}
	return x
}

// A secured is an Exchange over TLS.
type secured struct{ *Exchange }

func (s secured) ConnectionState() tls.ConnectionState { return *s.tls }

// NewCodec returns the codec with which the core reads the call and answers it.
func (x *Exchange) NewCodec(io.ReadWriteCloser) codec.Codec {
	if x.isJSONRPC() {
		return newJSONRPC(x)
	}
	return &direct{Exchange: x}
}

// finish sets the answer. Only the first call has an effect.
func (x *Exchange) finish(a *Answer) {
	x.once.Do(func() {
		x.answer = a
		close(x.done)
	})
}

// Done returns a channel that is closed when there is an answer, or will be none.
func (x *Exchange) Done() <-chan struct{} { return x.done }

// Answer returns the answer, nil if there is none. Done must be closed.
func (x *Exchange) Answer() *Answer { return x.answer }

// Read implements net.Conn's: nothing follows the body.
func (x *Exchange) Read([]byte) (int, error) { return 0, io.EOF }

// Write takes a whole answer in JSON.
func (x *Exchange) Write(answer []byte) (int, error) {
	x.finish(&Answer{Status: http.StatusOK, Body: bytes.Clone(answer)})
	return len(answer), nil
}

// Close ends the Exchange. There will be no answer, if there has been none.
func (x *Exchange) Close() error {
	x.finish(nil)
	return nil
}

// MessageLimits tells the codec that a reply may be of any size: HTTP knows no limit.
func (x *Exchange) MessageLimits() (read, write int) { return 0, 0 }

// RemoteAddr returns the address of the client.
func (x *Exchange) RemoteAddr() net.Addr { return x.peer }

// peerOf returns the address of a request's client.
func peerOf(req *http.Request) net.Addr {
	if addr, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		return net.TCPAddrFromAddrPort(addr)
	}
	network := "tcp"
	if local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		network = local.Network()
	}
	return address{network, req.RemoteAddr}
}

// An address is one that is not of TCP, or that a middleware has changed.
type address struct{ network, text string }

func (a address) Network() string { return a.network }
func (a address) String() string  { return a.text }
