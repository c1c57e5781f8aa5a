package geerpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
)

// misdeeds are ways in which a user's code does not return.
var misdeeds = map[string]func(){
	"panics": func() { panic("out of luck") },
	"exits":  runtime.Goexit,
}

// A hostileConn is a connection one of whose methods misbehaves, once it is
// armed.
type hostileConn struct {
	net.Conn
	method  string
	misdeed func()
	armed   atomic.Bool
}

func (c *hostileConn) try(method string) {
	if c.method == method && c.armed.Load() {
		c.misdeed()
	}
}

func (c *hostileConn) Read(p []byte) (int, error)  { c.try("Read"); return c.Conn.Read(p) }
func (c *hostileConn) Write(p []byte) (int, error) { c.try("Write"); return c.Conn.Write(p) }
func (c *hostileConn) RemoteAddr() net.Addr        { c.try("RemoteAddr"); return c.Conn.RemoteAddr() }
func (c *hostileConn) CloseWrite() error           { c.try("CloseWrite"); return nil }

func (c *hostileConn) Close() error {
	defer c.Conn.Close()
	c.try("Close")
	return nil
}

func (c *hostileConn) SetWriteDeadline(t time.Time) error {
	c.try("SetWriteDeadline")
	return c.Conn.SetWriteDeadline(t)
}

func (c *hostileConn) Unwrap() net.Conn { c.try("Unwrap"); return c.Conn }

func (c *hostileConn) HandshakeContext(context.Context) error { c.try("HandshakeContext"); return nil }

func (c *hostileConn) ConnectionState() tls.ConnectionState {
	c.try("ConnectionState")
	return tls.ConnectionState{}
}

// Whatever a method of a connection does, before the handshake or in the middle
// of calls, only that connection suffers: the server serves others, and ends in
// time. A panic is logged with its stack.
func TestE121_ConnectionMisbehaves(t *testing.T) {
	t.Parallel()
	methods := []string{"Read", "Write", "Close", "SetWriteDeadline", "RemoteAddr", "CloseWrite", "Unwrap",
		"HandshakeContext", "ConnectionState"}
	for how, misdeed := range misdeeds {
		for _, method := range methods {
			for _, early := range []bool{true, false} {
				name := method + " " + how
				if early {
					name += " early"
				}
				t.Run(name, func(t *testing.T) {
					e := newEnv(t, "tcp", framedJSON)
					logger, log := listenIn()
					e.Logger = logger
					bystander := e.dial(nil)
					near, far := net.Pipe()
					conn := &hostileConn{Conn: far, method: method, misdeed: misdeed}
					conn.armed.Store(early)
					served := make(chan struct{})
					go func() { defer close(served); e.ServeConn(conn) }()
					client, err := NewClient(near, &Option{CodecType: framedJSON, ConnectTimeout: time.Second})
					if err == nil {
						conn.armed.Store(true)
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						client.Call(ctx, "Arith.Add", Args{}, nil)
						cancel()
						looked := make(chan struct{})
						go func() { defer close(looked); e.debugInfo() }()
						<-looked
						client.Close()
					}
					mustAdd(t, bystander)
					near.Close()
					<-served
					closesAtOnce(t, e)
					logged := method == "Read" || method == "Write" || method == "Close" || method == "HandshakeContext" && early
					if text := log.String(); how == "panics" && logged &&
						(!strings.Contains(text, "out of luck") || !strings.Contains(text, "users_code_misbehaves_test.go")) {
						t.Errorf("log: %s", text)
					}
				})
			}
		}
	}
}

// A callback of crypto/tls that panics: any stranger who connects sets it off.
func TestE121_TLSCallbacks(t *testing.T) {
	for how, misdeed := range misdeeds {
		callbacks := map[string]func(*tls.Config){
			"GetCertificate": func(c *tls.Config) {
				c.Certificates = nil
				c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { misdeed(); return nil, nil }
			},
			"GetConfigForClient": func(c *tls.Config) {
				c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { misdeed(); return nil, nil }
			},
			"VerifyConnection": func(c *tls.Config) {
				c.VerifyConnection = func(tls.ConnectionState) error { misdeed(); return nil }
			},
		}
		for name, set := range callbacks {
			t.Run(name+" "+how, func(t *testing.T) {
				var s Server
				logger, log := listenIn()
				s.Logger = logger
				cert, pool := certificate(t, "localhost", time.Hour)
				config := &tls.Config{Certificates: []tls.Certificate{cert}}
				set(config)
				lis, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- s.Serve(tls.NewListener(lis, config)) }()
				_, err = Dial("tcp", lis.Addr().String(), &Option{ConnectTimeout: 10 * time.Second,
					TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}})
				if err == nil || errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Dial: %v", err)
				}
				eventually(t, "the connection is forgotten", func() bool { return s.debugInfo().Connections.Open == 0 })
				s.Close()
				if err := <-served; err != ErrServerClosed {
					t.Error(err)
				}
				if text := log.String(); how == "panics" && (!strings.Contains(text, "out of luck") || !strings.Contains(text, "users_code_misbehaves_test.go")) {
					t.Errorf("log: %s", text)
				}
			})
		}
	}
}

// A hostileCodec is a codec of a user's one of whose methods misbehaves.
type hostileCodec struct {
	codec.Codec
	try func(method string)
}

func (c hostileCodec) ReadHeader(h *codec.Header) error {
	c.try("ReadHeader")
	return c.Codec.ReadHeader(h)
}
func (c hostileCodec) ReadBody(body any) error { c.try("ReadBody"); return c.Codec.ReadBody(body) }
func (c hostileCodec) Close() error            { c.try("Close"); return c.Codec.Close() }

func (c hostileCodec) Write(h *codec.Header, body any) error {
	c.try("Write")
	return c.Codec.Write(h, body)
}

const hostileType codec.Type = "test/hostile"

// hostile is what a hostileCodec does in its method of a name.
var hostile struct {
	method  string
	misdeed func()
}

func init() {
	codec.Register(hostileType, func(rwc io.ReadWriteCloser) codec.Codec {
		try := func(method string) {
			if method == hostile.method {
				hostile.misdeed()
			}
		}
		try("make")
		return hostileCodec{newWholeCodec(rwc), try}
	})
}

// A codec of the user's own that misbehaves costs its connection, on a server
// and on a client.
func TestE121_CodecMisbehaves(t *testing.T) {
	defer func() { hostile.method = "" }()
	for how, misdeed := range misdeeds {
		for _, method := range []string{"make", "ReadHeader", "ReadBody", "Write", "Close"} {
			t.Run("server's "+method+" "+how, func(t *testing.T) {
				hostile.method, hostile.misdeed = method, misdeed
				e := newEnv(t, "tcp", framedJSON)
				bystander := e.dial(nil)
				conn := e.bare()
				io.WriteString(conn, `{"MagicNumber":3927900,"CodecType":"`+string(hostileType)+`","Ack":true}`+"\n")
				out := newWholeCodec(struct {
					io.Reader
					io.WriteCloser
				}{conn, conn})
				if line, err := readLine(conn); err == nil && bytes.Contains(line, []byte(`"OK":true`)) {
					out.Write(&codec.Header{ServiceMethod: "Arith.Add", Seq: 1}, Args{1, 2})
					if method == "Close" {
						conn.Close()
					}
					io.Copy(io.Discard, conn)
				}
				mustAdd(t, bystander)
				conn.Close()
				eventually(t, "the connection is forgotten", func() bool { return e.debugInfo().Connections.Open == 1 })
				closesAtOnce(t, e)
			})
			if method == "make" && how == "exits" {
				continue // on the goroutine that dials, which is the user's
			}
			t.Run("client's "+method+" "+how, func(t *testing.T) {
				hostile.method = ""
				hostile.misdeed = misdeed
				e := newEnv(t, "tcp", wholeType)
				e.start()
				conn := e.bare()
				hostile.method = method
				done := make(chan struct{})
				go func() { // ends with the call, or before
					defer close(done)
					client, err := NewClient(conn, &Option{CodecType: hostileType, ConnectTimeout: 10 * time.Second})
					if err != nil {
						return
					}
					defer client.Close()
					client.Call(t.Context(), "Arith.Add", Args{1, 2}, new(Reply))
				}()
				<-done
			})
		}
	}
}

// readLine reads a line, and nothing behind it.
func readLine(r io.Reader) (line []byte, err error) {
	var b [1]byte
	for b[0] != '\n' {
		if _, err := r.Read(b[:]); err != nil {
			return line, err
		}
		line = append(line, b[0])
	}
	return line, nil
}

// A hostileError is an error that an encoder or a decoder returns.
type hostileError struct{ misdeed func() }

func (e hostileError) Error() string { e.misdeed(); return "" }

// A HostileValue can be neither encoded nor decoded, and nobody can say why.
type HostileValue struct{ Misdeed string }

func (v HostileValue) MarshalJSON() ([]byte, error) {
	if v.Misdeed != "" {
		return nil, hostileError{misdeeds[v.Misdeed]}
	}
	return json.Marshal("panics")
}

func (v *HostileValue) UnmarshalJSON(data []byte) error { return hostileError{misdeeds["panics"]} }

// The text of an error may be a user's code as well.
func TestE121_TextOfError(t *testing.T) {
	for how := range misdeeds {
		t.Run("reply "+how, func(t *testing.T) {
			e := newEnv(t, "tcp", framedJSON)
			RegisterFunc(e.Server, "Test.Hostile", func(context.Context, Args) (HostileValue, error) { return HostileValue{how}, nil })
			c := e.dial(nil)
			wantError(t, c.Call(t.Context(), "Test.Hostile", Args{}, nil), CodeInternal, InMethod, RanYes)
			mustAdd(t, c)
		})
	}
	t.Run("arguments", func(t *testing.T) {
		e := newEnv(t, "tcp", framedJSON)
		RegisterFunc(e.Server, "Test.Hostile", func(context.Context, HostileValue) (Reply, error) { return Reply{}, nil })
		c := e.dial(nil)
		wantError(t, c.Call(t.Context(), "Test.Hostile", HostileValue{}, nil), CodeInvalidArgument, InServer, RanNever)
		mustAdd(t, c)
	})
}

// Interceptors of a client that panic while they are put together.
func TestE121_ClientInterceptorPanics(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	_, err := e.tryDial(&Option{Interceptors: []Interceptor{func(CallFunc) CallFunc { panic("out of luck") }}})
	wantError(t, err, CodeInternal, InClient, RanNever)
}
