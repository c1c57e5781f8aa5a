package test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"geerpc"
	"geerpc/codec"
)

// A userListener is a listener of the program's. It can't be compared.
type userListener struct {
	*geerpc.PipeListener
	p *program
	_ func()
}

func (l userListener) Accept() (net.Conn, error) {
	switch l.p.at(atAccept, nil) {
	case fails:
		return nil, errBroken
	case returnsNothing:
		return nil, nil
	}
	conn, err := l.PipeListener.Accept()
	if err != nil {
		return nil, err
	}
	return newUserConn(l.p, conn, atServerRead), nil
}

func (l userListener) Close() error {
	defer l.PipeListener.Close()
	return l.p.errorAt(atListenerClose)
}

func (l userListener) Addr() net.Addr {
	if l.p.at(atListenerAddr, nil) == returnsNothing {
		return nil
	}
	return l.PipeListener.Addr()
}

// A userConn is a connection of the program's. Its places are those from first
// on. What blocks in it ends when it is closed.
type userConn struct {
	net.Conn
	p      *program
	first  place
	once   sync.Once
	closed chan struct{}
}

func newUserConn(p *program, conn net.Conn, first place) *userConn {
	if p.roomy {
		conn = newRoomyConn(conn)
	}
	return &userConn{Conn: conn, p: p, first: first, closed: make(chan struct{})}
}

func (c *userConn) Read(b []byte) (int, error) {
	switch c.p.at(c.first, c.closed) {
	case fails:
		return 0, errBroken
	case returnsNothing:
		return 0, nil
	}
	return c.Conn.Read(b)
}

func (c *userConn) Write(b []byte) (int, error) {
	switch c.p.at(c.first+1, c.closed) {
	case fails:
		return len(b) / 2, errBroken
	case returnsNothing:
		return 0, nil
	}
	return c.Conn.Write(b)
}

func (c *userConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	defer c.Conn.Close()
	return c.p.errorAt(c.first + 2)
}

func (c *userConn) RemoteAddr() net.Addr {
	if c.p.at(c.first+3, nil) == returnsNothing {
		return nil
	}
	return c.Conn.RemoteAddr()
}

func (c *userConn) SetWriteDeadline(t time.Time) error {
	if c.p.at(c.first+4, nil) == fails {
		return errBroken
	}
	return c.Conn.SetWriteDeadline(t)
}

// A roomyConn takes what is written at once, as a socket does that has room.
type roomyConn struct {
	net.Conn
	queue  chan []byte
	once   sync.Once
	closed chan struct{}
}

func newRoomyConn(conn net.Conn) *roomyConn {
	c := &roomyConn{Conn: conn, queue: make(chan []byte, 1000), closed: make(chan struct{})}
	go c.pass() // ends with the connection
	return c
}

// pass writes what has been taken.
func (c *roomyConn) pass() {
	for {
		select {
		case b := <-c.queue:
			if _, err := c.Conn.Write(b); err != nil {
				return
			}
		case <-c.closed:
			return
		}
	}
}

func (c *roomyConn) Write(b []byte) (int, error) {
	select {
	case c.queue <- slices.Clone(b):
		return len(b), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *roomyConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A userLog is where a program's log goes.
type userLog struct {
	slog.Handler
	p     *program
	where place
}

func (h userLog) Enabled(context.Context, slog.Level) bool { return true }

func (h userLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { // as a handler does that prints them
		if v, ok := a.Value.Any().(interface{ String() string }); ok && h.where == atServerLog {
			_ = v.String()
		}
		return true
	})
	return h.p.errorAt(h.where)
}

func (p *program) logger(where place) *slog.Logger {
	return slog.New(userLog{slog.DiscardHandler, p, where})
}

// interceptor returns an interceptor whose places are those from first on.
func (p *program) interceptor(first place) geerpc.Interceptor {
	return func(next geerpc.CallFunc) geerpc.CallFunc {
		if p.at(first, nil) == returnsNothing {
			return nil
		}
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			switch p.at(first+1, nil) {
			case fails:
				return errBroken
			case returnsNothing:
				return nil
			}
			err := next(ctx, serviceMethod, args, reply)
			if p.at(first+2, nil) == fails {
				return errBroken
			}
			return err
		}
	}
}

// The codecs of the program's: one that knows nothing of our layouts, one that
// is Extended, and one made by Framed.
const (
	userPlain    codec.Type = "test/user-plain"
	userExtended codec.Type = "test/user-extended"
	userFramed   codec.Type = "test/user-framed"
)

func init() {
	codec.Register(userPlain, func(conn io.ReadWriteCloser) codec.Codec {
		if theProgram.Load().at(atCodecMade, nil) == returnsNothing {
			return nil
		}
		return userCodec{codec.NewJSONCodec(conn)}
	})
	framed := codec.Framed(json.Marshal, json.Unmarshal)
	codec.Register(userExtended, func(conn io.ReadWriteCloser) codec.Codec {
		if theProgram.Load().at(atCodecMade, nil) == returnsNothing {
			return nil
		}
		return extendedUserCodec{userCodec{framed(conn)}}
	})
	codec.Register(userFramed, framed)
}

type userCodec struct{ codec.Codec }

func (c userCodec) ReadHeader(h *codec.Header) error {
	if theProgram.Load().at(atReadHeader, nil) == fails {
		return errBroken
	}
	return c.Codec.ReadHeader(h)
}

func (c userCodec) ReadBody(body any) error {
	if err := c.Codec.ReadBody(body); err != nil {
		return err
	}
	return theProgram.Load().errorAt(atReadBody)
}

func (c userCodec) Write(h *codec.Header, body any) error {
	switch theProgram.Load().at(atWrite, nil) {
	case fails:
		return errBroken
	case returnsNothing:
		return nil
	}
	return c.Codec.Write(h, body)
}

func (c userCodec) Close() error {
	defer c.Codec.Close()
	return theProgram.Load().errorAt(atCodecClose)
}

type extendedUserCodec struct{ userCodec }

func (c extendedUserCodec) Extend() codec.Codec {
	if theProgram.Load().at(atCodecExtend, nil) == returnsNothing {
		return nil
	}
	return c
}

func (c extendedUserCodec) Ready() bool {
	theProgram.Load().at(atCodecReady, nil)
	return false
}

// tlsConfigs returns what server and clients set up TLS with, where the
// callbacks are the program's.
func (p *program) tlsConfigs(cert tls.Certificate) (server, client *tls.Config) {
	server = &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, p.errorAt(atServerTLS) },
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			switch p.at(atServerTLS, nil) {
			case fails:
				return nil, errBroken
			case returnsNothing:
				return nil, nil
			}
			return &cert, nil
		},
		VerifyConnection: func(tls.ConnectionState) error { return p.errorAt(atServerTLS) },
	}
	client = &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection:   func(tls.ConnectionState) error { return p.errorAt(atClientTLS) },
	}
	return server, client
}
