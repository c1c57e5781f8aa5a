// Package transport makes connections, from an address up to where the handshake of
// package geerpc begins.
//
//	address ──Dial──→ connection ──TLS──→ connection ──CONNECT──→ connection
//	                                if asked for         if asked for
//
// On a server it has only the TLS handshake of a connection that was accepted.
//
// A connection, and what dials it, may be a user's code. It may panic or hang, and so
// Connect and Tunnel close what they have when they fail, without a panic of Close, and
// when their context ends.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"syscall"

	"geerpc/internal/handshake"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// A Config is what Connect needs to know of an Option.
type Config struct {
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: that of a net.Dialer
	TLS      *tls.Config                                                          // nil: no TLS, unless the protocol has it
	HTTPPath string                                                               // where CONNECT is sent
	NetRPC   bool                                                                 // the HTTP server has one of net/rpc behind it
}

// A Protocol is what lies between an address and the handshake.
type Protocol struct {
	Network   string
	TLS, HTTP bool
	Foreign   string // NetRPC or JSONRPC: spoken in place of geerpc's protocol
}

// The names of other protocols in an address.
const (
	NetRPC  = "rpc"
	JSONRPC = "jsonrpc"
)

// ParseProtocol returns the protocol of a name: http, https, tls, rpc, jsonrpc or, with
// nothing in between, a network.
func ParseProtocol(name string) Protocol {
	switch name {
	case "http":
		return Protocol{Network: "tcp", HTTP: true}
	case "https":
		return Protocol{Network: "tcp", HTTP: true, TLS: true}
	case "tls":
		return Protocol{Network: "tcp", TLS: true}
	case NetRPC, JSONRPC:
		return Protocol{Network: "tcp", Foreign: name}
	}
	return Protocol{Network: name}
}

// IsProtocol reports whether ParseProtocol knows what a name means.
func IsProtocol(name string) bool {
	switch name {
	case "tcp", "tcp4", "tcp6", "unix", "http", "https", "tls", NetRPC, JSONRPC:
		return true
	}
	return false
}

// Address returns an address with the protocol in front.
func (p Protocol) Address(address string) string {
	name := p.Network
	switch {
	case p.Foreign != "":
		name = p.Foreign
	case name != "tcp":
	case p.HTTP && p.TLS:
		name = "https"
	case p.HTTP:
		name = "http"
	case p.TLS:
		name = "tls"
	}
	return name + "@" + address
}

// ErrNoConn is what Connect fails with if Dial returns neither a connection nor an
// error.
var ErrNoConn = errors.New("the Dialer returned no connection, and no error")

// Connect makes a connection within ctx. Unless ctx has a deadline, TLS and CONNECT
// have handshake.Timeout together.
func (p Protocol) Connect(ctx context.Context, address string, c Config) (net.Conn, error) {
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	conn, err := c.Dial(ctx, p.Network, address)
	if err != nil {
		return nil, err
	}
	if IsNil(conn) {
		return nil, ErrNoConn
	}
	return within(ctx, conn, func(ctx context.Context) (net.Conn, error) {
		secured := conn
		if p.TLS || c.TLS != nil {
			if secured, err = p.secure(ctx, conn, address, c.TLS); err != nil {
				return nil, err
			}
		}
		if p.HTTP {
			return tunnel(secured, hostOf(address), c)
		}
		return secured, nil
	})
}

// IsNil reports whether there is no connection: nil, or a nil pointer in the interface.
func IsNil(conn net.Conn) bool {
	v := reflect.ValueOf(conn)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// within calls wrap, which puts layers on conn. It closes conn if wrap fails, panics or
// has not returned when ctx, or the time for a handshake, ends.
func within(ctx context.Context, conn net.Conn, wrap func(context.Context) (net.Conn, error)) (wrapped net.Conn, err error) {
	ctx, cancel := handshake.WithTimeout(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { Quiet(conn).Close() })
	defer stop()
	defer func() {
		if wrapped == nil {
			Quiet(conn).Close()
		}
	}()
	wrapped, err = wrap(ctx)
	if err != nil && context.Cause(ctx) == handshake.ErrTimeout {
		err = fmt.Errorf("%w: %w", handshake.ErrTimeout, err)
	}
	return wrapped, err
}

// Quiet returns conn with a Close that does not panic.
func Quiet(conn net.Conn) net.Conn {
	if wire.IsSocket(conn) {
		return conn
	}
	return quietConn{conn}
}

// A quietConn is a connection whose Close does not panic. Here, and in crypto/tls,
// connections are closed where nobody could recover, and because of another error.
type quietConn struct{ net.Conn }

// Close closes the connection.
func (c quietConn) Close() (err error) {
	defer usercode.Recover("the connection's Close", &err)
	return c.Conn.Close()
}

// NetConn returns the connection.
func (c quietConn) NetConn() net.Conn { return c.Conn }

// secure puts TLS on conn.
func (p Protocol) secure(ctx context.Context, conn net.Conn, address string, config *tls.Config) (net.Conn, error) {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = hostOf(address)
	}
	if p.HTTP {
		config.NextProtos = []string{"http/1.1"} // HTTP/2 has no CONNECT as we use it
	}
	secured := tls.Client(Quiet(conn), config)
	if err := secured.HandshakeContext(ctx); err != nil {
		if met := withoutTLS(err); met != nil {
			return nil, met
		}
		if HungUp(err) || errors.As(err, new(tls.RecordHeaderError)) {
			err = fmt.Errorf("%w; does the server speak TLS at this port?", err)
		}
		return nil, fmt.Errorf("TLS handshake with %s: %w", address, err)
	}
	return secured, nil
}

// withoutTLS returns the Error for a server that answers a TLS handshake with something
// else that is known, or nil.
func withoutTLS(err error) error {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) {
		return nil
	}
	switch first := string(record.RecordHeader[:]); {
	case strings.HasPrefix(handshake.NoTLS, first):
		return &handshake.Error{Reason: handshake.WrongServer,
			Text: "the server is a geerpc server without TLS: use tcp@ in front of the address, and no Option.TLSConfig"}
	case first == "HTTP/":
		return &handshake.Error{Reason: handshake.WrongServer,
			Text: "the server speaks HTTP without TLS: use DialHTTP, or http@ in front of the address, if there is a geerpc server behind it"}
	}
	return nil
}

// HungUp reports whether err means that the other side closed the connection.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPIPE)
}

// hostOf returns the host of an address, without a zone, which concerns this machine
// alone and stands in no certificate.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.WithZone("").String()
	}
	return host
}
