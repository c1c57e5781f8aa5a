package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
)

// A panicCloseConn is a connection whose Close panics, once it is closed.
type panicCloseConn struct{ net.Conn }

func (c panicCloseConn) Close() error {
	c.Conn.Close()
	panic("in Close")
}

// The time for connecting ends below TLS and CONNECT, and the connection's Close
// panics: at the end of the context, and when what is put on it has failed.
func TestE163_ClosePanicsWhileConnecting(t *testing.T) {
	for _, addr := range []string{"tcp@x", "tls@x", "http@x", "https@x"} {
		t.Run(addr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go io.Copy(io.Discard, far)
				_, err := geerpc.XDial(addr, &geerpc.Option{ConnectTimeout: time.Second, Dialer: func(context.Context, string, string) (net.Conn, error) {
					return panicCloseConn{near}, nil
				}})
				wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanNever)
			})
		})
	}
}

// A writeHeaderCodec is a codec of a user's that has a method by the name of one
// of GobCodec's.
type writeHeaderCodec struct {
	codec.Codec
	act func()
}

func (c writeHeaderCodec) WriteHeader(*codec.Header) error {
	c.act()
	return nil
}

// A misbehavedConn is a connection that a codec's constructor puts beneath a
// GobCodec. Its Write does what act does.
type misbehavedConn struct {
	io.ReadWriteCloser
	act func()
}

func (c misbehavedConn) Write([]byte) (int, error) {
	c.act()
	return 0, nil
}

// A server keeps silent, and the time comes to ask whether it is an old one. A
// codec of the user's own is not asked to; nor does what it is made of end the
// process, or keep the gate.
func TestE164_ProbeThroughUsersCode(t *testing.T) {
	for name, act := range map[string]func(){"panics": func() { panic("on purpose") }, "exits": runtime.Goexit} {
		for kind, newCodec := range map[codec.Type]codec.NewCodecFunc{
			"test/write-header": func(conn io.ReadWriteCloser) codec.Codec {
				return writeHeaderCodec{codec.NewJSONCodec(conn), act}
			},
			"test/gob-on-conn": func(conn io.ReadWriteCloser) codec.Codec {
				return codec.NewGobCodec(misbehavedConn{conn, act})
			},
		} {
			kind += codec.Type("-" + name)
			codec.Register(kind, newCodec)
			t.Run(string(kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := net.Pipe()
					go io.Copy(io.Discard, far)
					if c, err := geerpc.NewClient(near, &geerpc.Option{CodecType: kind, ConnectTimeout: time.Second}); err == nil {
						c.Close()
						t.Error("connected to a server that says nothing")
					}
				})
			})
		}
	}
}

// An addrExitsConn is a connection that ends the goroutine which asks for its
// address.
type addrExitsConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (*addrExitsConn) RemoteAddr() net.Addr { runtime.Goexit(); return nil }

func (c *addrExitsConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestE169_AddressThatExits(t *testing.T) {
	near, _ := net.Pipe()
	conn := &addrExitsConn{Conn: near, closed: make(chan struct{})}
	_, err := geerpc.NewClient(conn, nil)
	wantError(t, err, geerpc.CodeInternal, geerpc.InClient, geerpc.RanNever)
	select {
	case <-conn.closed:
	case <-time.After(10 * time.Second): // instead of hanging
		t.Error("the connection is not closed")
	}
}

// A writePanicConn is a connection of a user's whose Write panics from a moment
// on, and Close is counted.
type writePanicConn struct {
	net.Conn
	broken *atomic.Bool
	closed *atomic.Int32
}

func (c writePanicConn) Write(b []byte) (int, error) {
	if c.broken.Load() {
		panic("a panic in Write")
	}
	return c.Conn.Write(b)
}

func (c writePanicConn) Close() error {
	c.closed.Add(1)
	return c.Conn.Close()
}

// crypto/tls says goodbye before it closes a connection, and does not close one
// that panics at that.
func TestE172_WritePanicsAtTheEndOfTLS(t *testing.T) {
	e := newEnv(t, "tls", codec.GobType)
	var broken atomic.Bool
	var closed atomic.Int32
	client := e.dial(&geerpc.Option{Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return writePanicConn{conn, &broken, &closed}, err
	}})
	mustAdd(t, client)
	broken.Store(true)
	client.Close()
	if closed.Load() == 0 {
		t.Error("the connection stays open")
	}
}

// An oddConn is a connection of a user's one of whose methods panics, Read behind the end
// of a request.
type oddConn struct {
	net.Conn
	odd  string
	read bool // all of the request
}

func (c *oddConn) panicIn(method string) {
	if c.odd == method {
		panic("in " + method)
	}
}

func (c *oddConn) Read(p []byte) (int, error) {
	if c.read {
		c.panicIn("Read")
	}
	n, err := c.Conn.Read(p)
	c.read = bytes.HasSuffix(p[:n], []byte("\r\n\r\n")) || p[0] == 0x16
	return n, err
}

func (c *oddConn) Write(p []byte) (int, error) {
	c.panicIn("Write")
	return c.Conn.Write(p)
}

func (c *oddConn) Close() error {
	c.Conn.Close()
	c.panicIn("Close")
	return nil
}

func (c *oddConn) RemoteAddr() net.Addr {
	c.panicIn("RemoteAddr")
	return c.Conn.RemoteAddr()
}

func (c *oddConn) LocalAddr() net.Addr {
	c.panicIn("LocalAddr")
	return c.Conn.LocalAddr()
}

// A user's connection goes on with HTTP or TLS, whose packages call it on goroutines of
// their own, where nobody recovers from its panics.
func TestProtocols_UsersConn(t *testing.T) {
	cert, _ := certificate(t, "localhost", time.Hour)
	for _, odd := range []string{"Read", "Write", "Close", "RemoteAddr", "LocalAddr"} {
		for name, opening := range map[string]string{
			"HTTP": "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
			"TLS":  "\x16\x03\x01", // and no more
		} {
			t.Run(odd+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &geerpc.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, AllowPlaintext: true}
					near, far := net.Pipe()
					defer near.Close()
					served := make(chan bool)
					go func() { defer close(served); server.ServeConn(&oddConn{Conn: far, odd: odd}) }() // ends with the connection
					go func() { io.WriteString(near, opening); io.Copy(io.Discard, near) }()
					<-served
					server.Close()
				})
			})
		}
	}
}
