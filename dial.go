package geerpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"geerpc/internal/inflight"
	"geerpc/internal/link"
	"geerpc/internal/readturn"
	"geerpc/internal/transport"
	"geerpc/internal/usercode"
)

// How a Client begins: Dial and its relatives, and the goroutine that makes the
// connection, shakes hands, and then reads.

// Dial connects to a server at an address of a network, such as tcp or unix,
// as net.Dial does. The Option may be left out; it has TLS, the token and how
// long Dial may take.
func Dial(network, address string, opts ...*Option) (*Client, error) {
	return DialContext(context.Background(), network, address, opts...)
}

// DialContext is Dial with a context: it fails if ctx ends before the Client is
// connected. After that the Client does not depend on ctx.
func DialContext(ctx context.Context, network, address string, opts ...*Option) (*Client, error) {
	return dial(ctx, transport.Protocol{Network: network}, address, opts...)
}

// DialHTTP is Dial for a server that answers HTTP. It sends a CONNECT request, to
// Option.HTTPPath.
func DialHTTP(network, address string, opts ...*Option) (*Client, error) {
	return dial(context.Background(), transport.Protocol{Network: network, HTTP: true}, address, opts...)
}

// DialHTTPPath is DialHTTP with the path given, as net/rpc has it.
func DialHTTPPath(network, address, path string, opts ...*Option) (*Client, error) {
	opt, err := copyOption(opts)
	if err != nil {
		return nil, err
	}
	opt.HTTPPath = path
	return DialHTTP(network, address, &opt)
}

// XDial connects to a server at protocol@address, where protocol is http,
// https, tls or a network as Dial takes it: http@10.0.0.1:7001,
// tcp@10.0.0.1:9999, unix@/tmp/geerpc.sock, unix@@abstract. With rpc the
// server is one of net/rpc, with jsonrpc one of JSON-RPC 2.0, both over TCP;
// Option.TLSConfig puts TLS in between.
func XDial(rpcAddr string, opts ...*Option) (*Client, error) {
	return XDialContext(context.Background(), rpcAddr, opts...)
}

// XDialContext is XDial with a context, as DialContext is Dial with one.
func XDialContext(ctx context.Context, rpcAddr string, opts ...*Option) (*Client, error) {
	name, address, ok := strings.Cut(rpcAddr, "@")
	if !ok || name == "" || address == "" {
		return nil, badDial("wrong format %q, want protocol@host:port, such as tcp@10.0.0.1:9999", rpcAddr)
	}
	protocol := transport.ParseProtocol(name)
	if _, port, err := net.SplitHostPort(address); protocol.HTTP && err == nil && strings.Contains(port, "/") {
		return nil, badDial("the address %q has a path: put that into Option.HTTPPath", rpcAddr)
	}
	return dial(ctx, protocol, address, opts...)
}

// badDial returns the Error for a Dial that can never work.
func badDial(format string, a ...any) error {
	return &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever, Message: "rpc client: " + fmt.Sprintf(format, a...)}
}

func dial(ctx context.Context, protocol transport.Protocol, address string, opts ...*Option) (*Client, error) {
	if ctx == nil {
		return nil, badDial("nil context; use context.Background()")
	}
	opt, err := parseOptions(opts...)
	if err != nil {
		return nil, err
	}
	if name, rest, ok := strings.Cut(address, "@"); ok && transport.IsProtocol(name) && !strings.HasPrefix(protocol.Network, "unix") {
		return nil, badDial("the address %q has a protocol in front: use XDial, or leave %q of it", address, rest)
	}
	if err := opt.chooseProtocol(protocol.Foreign); err != nil {
		return nil, err
	}
	return newClient(ctx, opt, protocol.Address(address), func(ctx context.Context) (net.Conn, error) {
		return protocol.Connect(ctx, address, opt.transport())
	})
}

// transport returns how connections are made.
func (opt *Option) transport() transport.Config {
	c := transport.Config{Dial: opt.Dialer, TLS: opt.TLSConfig, HTTPPath: opt.HTTPPath, NetRPC: opt.Protocol == NetRPC}
	switch {
	case c.HTTPPath != "":
	case c.NetRPC:
		c.HTTPPath = netRPCPath
	default:
		c.HTTPPath = defaultRPCPath
	}
	return c
}

// chooseProtocol sets the Protocol that an address names.
func (opt *Option) chooseProtocol(name string) error {
	named := map[string]*Protocol{transport.NetRPC: NetRPC, transport.JSONRPC: JSONRPC}[name]
	switch {
	case named == nil:
		return nil
	case opt.Protocol != nil && opt.Protocol != named:
		return badDial("the address says %s@, and Option.Protocol is %s: leave one of them out", name, opt.Protocol.Name)
	}
	opt.setProtocol(named)
	return nil
}

// NewClient returns a Client on conn, and shakes hands with the server at the
// other end, within opt.ConnectTimeout. From now on conn belongs to the Client,
// which closes it even if NewClient fails. A nil opt is DefaultOption;
// opt.Dialer and opt.TLSConfig are not used. NewConn makes a net.Conn of other
// streams, such as the standard input and output of a child process.
func NewClient(conn net.Conn, opt *Option) (*Client, error) {
	return newClientOn(conn, opt, func(context.Context, *Option) (net.Conn, error) { return conn, nil })
}

// NewHTTPClient is NewClient for a conn to an HTTP server that has an RPC server
// behind it.
func NewHTTPClient(conn net.Conn, opt *Option) (*Client, error) {
	return newClientOn(conn, opt, func(ctx context.Context, opt *Option) (net.Conn, error) {
		return transport.Tunnel(ctx, conn, opt.transport())
	})
}

// newClientOn returns a Client on what connect makes of conn.
func newClientOn(conn net.Conn, opt *Option, connect func(context.Context, *Option) (net.Conn, error)) (*Client, error) {
	if transport.IsNil(conn) {
		return nil, badDial("the connection is nil")
	}
	o, err := parseOptions(opt)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return newClient(context.Background(), o, "", func(ctx context.Context) (net.Conn, error) { return connect(ctx, &o) })
}

// A connectFunc makes the connection of a Client, up to the handshake. If it fails, it
// closes what it has made.
type connectFunc func(ctx context.Context) (net.Conn, error)

// newClient connects to a server and shakes hands within ctx and opt.ConnectTimeout.
// Without a server's address, that of the connection is used. This is the
// work of the goroutine that reads afterwards, and not of the caller's, because it runs
// code of the user's, which may panic, or go on waiting when its time is over.
func newClient(ctx context.Context, opt Option, server string, connect connectFunc) (*Client, error) {
	ctx, cancel := opt.connectContext(ctx)
	defer cancel()
	c := &Client{
		opt:           opt,
		server:        server,
		closeCalled:   make(chan struct{}),
		readerStopped: make(chan struct{}),
		ended:         make(chan struct{}),
	}
	c.callPool.New = newClientCall
	o := &newDial{server: server, outcome: make(chan error), abandoned: make(chan struct{})}
	go c.run(ctx, connect, o) // ends with the connection; Close waits
	if err := c.awaitOpen(ctx, o); err != nil {
		return nil, notConnected(err, server)
	}
	return c, nil
}

// connectContext limits ctx by ConnectTimeout.
func (opt *Option) connectContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if opt.ConnectTimeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, opt.ConnectTimeout,
		fmt.Errorf("%w: expect within %s", errConnectTimeout, opt.ConnectTimeout))
}

var errConnectTimeout = errors.New("connect timeout")

// A newDial is how the goroutine of a new Client reports to newClient.
type newDial struct {
	server    string // as it was dialled
	outcome   chan error
	abandoned chan struct{} // closed when newClient does not wait for the outcome any more
}

// report delivers the outcome. It reports false if nobody waits for it.
func (o *newDial) report(err error) bool {
	select {
	case o.outcome <- err:
		return true
	case <-o.abandoned:
		return false
	}
}

// awaitOpen returns the outcome. If the Dialer or the connection hangs, it returns an
// error soon after the end of ctx, or of the connection.
func (c *Client) awaitOpen(ctx context.Context, o *newDial) error {
	select {
	case err := <-o.outcome:
		return err
	case <-c.ended:
		close(o.abandoned)
		return handshakeError(ctx, c.link.Cause(), o.server)
	case <-ctx.Done():
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case err := <-o.outcome:
		return err
	case <-grace.C:
		close(o.abandoned)
		return dialError(ctx, errStuck, o.server)
	}
}

var errStuck = errors.New("the Dialer, or the connection's Read, does not return although its time is over")

// run is the Client's goroutine: it connects, and then it reads.
func (c *Client) run(ctx context.Context, connect connectFunc, o *newDial) {
	err := errDialExit // unless open returns
	defer func() {
		if err == nil {
			return
		}
		if c.link != nil {
			c.link.Fail(usercode.Error(err))
		}
		o.report(err)
		if c.link != nil {
			c.finish(err)
		}
	}()
	err = c.open(ctx, connect)
	if err == nil && !o.report(nil) {
		err = errStuck
	}
	if err == nil {
		c.receive()
	}
}

var errDialExit error = &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
	Message: "rpc client: what connects ended its goroutine"}

// open connects and shakes hands within ctx.
func (c *Client) open(ctx context.Context, connect connectFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text := usercode.PanicText(p)
			c.report(slog.LevelError, "rpc client: connecting panicked", "panic", text, "stack", usercode.Stack())
			err = &Error{Code: CodeInternal, Where: InClient, Ran: RanNever,
				Message: "rpc client: connecting panicked: " + text}
		}
	}()
	c.call = chain(c.opt.Interceptors, c.invoke)
	conn, err := connect(ctx)
	if err != nil {
		return dialError(ctx, err, c.server)
	}
	c.link = link.New(conn, link.Config{MaxRead: c.opt.MaxMessageBytes, MaxDefinitions: c.opt.MaxDefinitionBytes, FlushTimeout: c.opt.FlushTimeout, Report: c.report})
	c.inFlight = inflight.New[*clientCall](c.link.Context().Done(), func() { c.link.Fail(errDrained) })
	c.readTurn = readturn.New(func() bool { return c.inFlight.Len() > 0 || c.pings.waited.Load() })
	context.AfterFunc(c.link.Context(), c.awaitReader)
	if c.server == "" {
		c.server = usercode.NetworkAddr(usercode.RemoteAddr(conn)) // it may end our goroutine, so run must know the link
	}
	if err := c.handshake(ctx); err != nil {
		return err
	}
	c.lends = c.link.Interruptible()
	c.keepAlive()
	return nil
}

// awaitReader waits for the end of the reader when the connection has been closed. If
// closing does not end a Read or a Write, awaitReader ends the calls without it.
func (c *Client) awaitReader() {
	defer close(c.ended)
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-c.readerStopped:
	case <-grace.C:
		c.terminate(c.link.Cause())
	}
}
