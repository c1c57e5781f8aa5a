package geerpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"time"

	"geerpc/internal/handshake"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// Dial connects to a server at an address of a network, as net.Dial has it:
// tcp, unix and so on. The option is optional; see Option for TLS, tokens and
// how long Dial may take.
func Dial(network, address string, opts ...*Option) (*Client, error) {
	return DialContext(context.Background(), network, address, opts...)
}

// DialContext is Dial within a context: when ctx ends before the Client is
// there, DialContext fails. The Client does not depend on ctx any more.
func DialContext(ctx context.Context, network, address string, opts ...*Option) (*Client, error) {
	return dial(ctx, transport{network: network}, address, opts...)
}

// DialHTTP connects to a server that is behind HTTP, with a CONNECT request.
func DialHTTP(network, address string, opts ...*Option) (*Client, error) {
	return dial(context.Background(), transport{network: network, http: true}, address, opts...)
}

// XDial connects to a server at protocol@address, where protocol is http,
// https, tls or a network as Dial takes it: http@10.0.0.1:7001,
// tcp@10.0.0.1:9999, unix@/tmp/geerpc.sock, unix@@abstract.
func XDial(rpcAddr string, opts ...*Option) (*Client, error) {
	return XDialContext(context.Background(), rpcAddr, opts...)
}

// XDialContext is XDial within a context, as DialContext is Dial.
func XDialContext(ctx context.Context, rpcAddr string, opts ...*Option) (*Client, error) {
	protocol, address, ok := strings.Cut(rpcAddr, "@")
	if !ok || protocol == "" || address == "" {
		return nil, &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
			Message: fmt.Sprintf("rpc client: wrong format %q, want protocol@host:port, such as tcp@10.0.0.1:9999", rpcAddr)}
	}
	t := protocols(protocol)
	if _, port, err := net.SplitHostPort(address); t.http && err == nil && strings.Contains(port, "/") {
		return nil, &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
			Message: fmt.Sprintf("rpc client: the address %q has a path: put that into Option.HTTPPath", rpcAddr)}
	}
	return dial(ctx, t, address, opts...)
}

// A transport is how a connection is made.
type transport struct {
	network   string
	tls, http bool
}

func protocols(name string) transport {
	switch name {
	case "http":
		return transport{network: "tcp", http: true}
	case "https":
		return transport{network: "tcp", http: true, tls: true}
	case "tls":
		return transport{network: "tcp", tls: true}
	}
	return transport{network: name}
}

// connectContext limits connecting.
func (opt *Option) connectContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if opt.ConnectTimeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, opt.ConnectTimeout,
		fmt.Errorf("%w: expect within %s", errConnectTimeout, opt.ConnectTimeout))
}

var errConnectTimeout = errors.New("connect timeout")

func dial(ctx context.Context, t transport, address string, opts ...*Option) (*Client, error) {
	if ctx == nil {
		return nil, errNilContext
	}
	opt, err := parseOptions(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := opt.connectContext(ctx)
	defer cancel()
	return newClient(ctx, opt, func(ctx context.Context) (net.Conn, error) { return t.connect(ctx, address, &opt) })
}

// connect makes the connection up to the handshake, within ctx.
func (t transport) connect(ctx context.Context, address string, opt *Option) (net.Conn, error) {
	dialer := opt.Dialer
	if dialer == nil {
		dialer = new(net.Dialer).DialContext
	}
	conn, err := dialer(ctx, t.network, address)
	if err != nil {
		return nil, err
	}
	if isNil(conn) {
		return nil, errNoConn
	}
	return within(ctx, conn, func(ctx context.Context) (net.Conn, error) {
		secured := conn
		if t.tls || opt.TLSConfig != nil {
			if secured, err = t.secure(ctx, conn, address, opt); err != nil {
				return nil, err
			}
		}
		if t.http {
			return connectHTTP(secured, hostOf(address), opt)
		}
		return secured, nil
	})
}

var errNoConn error = &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
	Message: "rpc client: the Dialer returned no connection, and no error"}

// within lets wrap put layers on conn, within ctx or the time for a handshake. It
// closes conn if wrap fails, panics or is still at it when that ends.
func within(ctx context.Context, conn net.Conn, wrap connectFunc) (wrapped net.Conn, err error) {
	ctx, cancel := handshake.WithTimeout(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { quietConn{conn}.Close() })
	defer stop()
	defer func() {
		if wrapped == nil {
			quietConn{conn}.Close()
		}
	}()
	wrapped, err = wrap(ctx)
	if err != nil && context.Cause(ctx) == handshake.ErrTimeout {
		err = newError(CodeDeadlineExceeded, OnLink, RanNever, "rpc client", fmt.Errorf("%w: %w", handshake.ErrTimeout, err))
	}
	return wrapped, err
}

// A quietConn is a connection, perhaps a user's, whose Close does not panic. Where
// one is closed because Dial fails, also by crypto/tls, nobody could recover, and
// the error of Dial says what was the matter.
type quietConn struct{ net.Conn }

// Close closes the connection.
func (c quietConn) Close() (err error) {
	defer usercode.Recover("the connection's Close", &err)
	return c.Conn.Close()
}

// NetConn returns the connection.
func (c quietConn) NetConn() net.Conn { return c.Conn }

// secure puts TLS on conn.
func (t transport) secure(ctx context.Context, conn net.Conn, address string, opt *Option) (net.Conn, error) {
	config := &tls.Config{}
	if opt.TLSConfig != nil {
		config = opt.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = hostOf(address)
	}
	if t.http {
		config.NextProtos = []string{"http/1.1"} // CONNECT as we use it is not for HTTP/2
	}
	secured := tls.Client(quietConn{conn}, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		var plain tls.RecordHeaderError
		if hungUp(err) || errors.As(err, &plain) {
			err = fmt.Errorf("%w; does the server speak TLS at this port?", err)
		}
		return nil, fmt.Errorf("TLS handshake with %s: %w", address, err)
	}
	return secured, nil
}

// hostOf returns the host of an address, without a zone: that belongs to this
// machine, and stands in no certificate.
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

// hungUp tells whether err means that the other side closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EPIPE)
}

// dialError types an error of connecting.
func dialError(ctx context.Context, err error) error {
	var typed *Error
	var known *handshake.Error
	switch {
	case errors.As(err, &typed):
		return err
	case errors.As(err, &known):
		return knownError(known)
	}
	cause := timeIsUp(ctx, err)
	if cause == nil {
		return newError(linkCode(err), OnLink, RanNever, "rpc client", err)
	}
	if !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return newError(CodeOf(ctx.Err()), OnLink, RanNever, "rpc client", err)
}

// deadlineSlack is how long before the end of a context a timeout counts as
// the context's.
const deadlineSlack = 10 * time.Millisecond

// timeIsUp returns why ctx has ended, or nil if that is not the reason of err.
// A net.Dialer, and whoever sets deadlines on connections, applies the deadline
// of ctx by itself, and may be a moment earlier than ctx.
func timeIsUp(ctx context.Context, err error) error {
	var e interface{ Timeout() bool }
	deadline, limited := ctx.Deadline()
	if limited && errors.As(err, &e) && e.Timeout() && time.Until(deadline) <= deadlineSlack {
		late := time.NewTimer(time.Second) // a context of the user's may not keep its word, and a busy machine be late
		defer late.Stop()
		select {
		case <-ctx.Done():
		case <-late.C:
		}
	}
	return context.Cause(ctx)
}

// linkCode tells addresses that nobody can dial, and peers that don't trust each
// other or of which only one speaks TLS, from a link that merely broke.
func linkCode(err error) Code {
	var network net.UnknownNetworkError
	var address *net.AddrError
	if errors.As(err, &network) || errors.As(err, &address) {
		return CodeInvalidArgument
	}
	var unverified *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var alert *net.OpError // crypto/tls wraps what the other side complained of in one
	if errors.As(err, &unverified) || errors.As(err, &plain) || errors.As(err, &alert) && alert.Op == "remote error" {
		return CodeUnauthenticated
	}
	return CodeUnavailable
}

// What an HTTP server answers to CONNECT, and where it is asked.
const (
	connected      = "200 Connected to Gee RPC"
	defaultRPCPath = "/_geeprc_" // spelt so since the first version
)

// NewHTTPClient returns a Client on conn, at whose other end is an HTTP server
// that has an RPC server behind it. Otherwise it is as NewClient.
func NewHTTPClient(conn net.Conn, opt *Option) (*Client, error) {
	return newClientOn(conn, opt, func(ctx context.Context, opt *Option) (net.Conn, error) {
		return within(ctx, conn, func(context.Context) (net.Conn, error) {
			host := ""
			if addr := remoteAddr(conn); addr != nil {
				host = hostOf(addr.String())
			}
			return connectHTTP(conn, host, opt)
		})
	})
}

// connectHTTP asks for the RPC server behind an HTTP server at host.
func connectHTTP(conn net.Conn, host string, opt *Option) (net.Conn, error) {
	path := opt.HTTPPath
	if path == "" {
		path = defaultRPCPath
	}
	_, err := io.WriteString(conn, "CONNECT "+path+" HTTP/1.0\r\nHost: "+hostHeader(host)+"\r\n\r\n")
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(io.LimitReader(conn, handshake.MaxBytes))
	if first, _ := in.Peek(1); len(first) > 0 && first[0] == handshake.TLSAlert {
		return nil, handshake.ErrSpeaksTLS
	}
	response, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil:
		return nil, fmt.Errorf("no HTTP response to CONNECT; is it an HTTP server, and one with TLS if asked for? %w", err)
	case response.StatusCode/100 != 2:
		return nil, &Error{Code: CodeUnavailable, Where: OnLink, Ran: RanNever,
			Message: fmt.Sprintf("rpc client: unexpected HTTP response: %.256s; is there a geerpc server at %s, and does it want TLS (https@)?", response.Status, path)}
	}
	ahead, _ := in.Peek(in.Buffered())
	return wire.WithAhead(conn, ahead), nil
}

// hostHeader returns what stands for host in a request. There is no port: a
// http.ServeMux compares the host of a CONNECT with its patterns as it is.
func hostHeader(host string) string {
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is6():
		return "[" + host + "]"
	case err == nil || hostName.MatchString(host):
		return host
	}
	return "localhost" // such as the path of a Unix socket
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
