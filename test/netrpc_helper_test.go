package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/rpc"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/rpctest"
)

// The standard library's own clients, against our server. docs/net-rpc.md lists which test
// has which scenario of net/rpc's own tests.

// A stockWay is a way in which a program may have connected to its net/rpc server.
type stockWay struct {
	name      string
	transport string          // of the env
	prepare   func(*stockEnv) // the server; nil: nothing
	dial      func(*stockEnv) (*rpc.Client, error)
}

// A stockEnv is a server with the services of these tests.
type stockEnv struct {
	*env
	tls *tls.Config // what clients need, where Server.TLSConfig is set
}

// newStockEnv makes a server, which the first dial starts.
func newStockEnv(t testing.TB, transport string) *stockEnv {
	t.Helper()
	e := &stockEnv{env: newEnv(t, transport, codec.GobType)}
	for name, rcvr := range map[string]any{
		"Stock": new(Stock), "net.rpc.Stock": new(Stock), "Embed": new(Embed), "Builtin": Builtin{},
	} {
		if err := e.RegisterName(name, rcvr); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// secure has the server answer TLS handshakes on its own port.
func (e *stockEnv) secure() {
	cert, pool := rpctest.Certificate(e.t, "localhost", patient*360)
	e.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	e.tls = &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func (e *stockEnv) addr() string {
	e.start()
	return e.lis.Addr().String()
}

// stock returns a client of net/rpc on the way, closed with the test.
func (e *stockEnv) stock(way stockWay) *rpc.Client {
	e.t.Helper()
	client, err := way.dial(e)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { client.Close() })
	return client
}

// overTCP is the usual way.
var overTCP = stockWay{name: "tcp", transport: "tcp", dial: dialStock}

func dialStock(e *stockEnv) (*rpc.Client, error) {
	addr := e.addr()
	return rpc.Dial(e.lis.Addr().Network(), addr)
}

func dialStockTLS(e *stockEnv) (*rpc.Client, error) {
	addr := e.addr()
	config := e.tls
	if config == nil { // that of the listener
		config = e.option.TLSConfig
	}
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return nil, err
	}
	return rpc.NewClient(conn), nil
}

func dialStockHTTP(path string) func(*stockEnv) (*rpc.Client, error) {
	return func(e *stockEnv) (*rpc.Client, error) { return rpc.DialHTTPPath("tcp", e.addr(), path) }
}

// behindMux starts an http.Server that has the Server at some paths.
func behindMux(e *stockEnv) {
	mux := http.NewServeMux()
	for _, path := range []string{rpc.DefaultRPCPath, "/some/path"} {
		mux.Handle(path, e.Server)
	}
	mux.Handle("/stripped/", http.StripPrefix("/stripped", e.Server))
	e.lis, _ = rpctest.Listen(e.t, "tcp")
	hs, served := &http.Server{Handler: mux}, make(chan error, 1)
	go func() { served <- hs.Serve(e.lis) }()
	e.t.Cleanup(func() { hs.Close(); e.Close(); <-served })
}

// stockWays are all of them.
var stockWays = []stockWay{
	overTCP,
	{name: "unix", transport: "unix", dial: dialStock},
	{name: "tls listener", transport: "tls", dial: dialStockTLS},
	{name: "tls on the same port", transport: "tcp", prepare: (*stockEnv).secure, dial: dialStockTLS},
	{name: "tls beside plaintext", transport: "tcp", prepare: func(e *stockEnv) { e.secure(); e.AllowPlaintext = true }, dial: dialStockTLS},
	{name: "plaintext beside tls", transport: "tcp", prepare: func(e *stockEnv) { e.secure(); e.AllowPlaintext = true }, dial: dialStock},
	{name: "pipe", transport: "pipe", dial: func(e *stockEnv) (*rpc.Client, error) { return rpc.NewClient(e.bare()), nil }},
	{name: "ServeConn", transport: "pipe", dial: func(e *stockEnv) (*rpc.Client, error) {
		here, there := net.Pipe()
		go e.ServeConn(there) // ends with the client
		return rpc.NewClient(here), nil
	}},
	{name: "DialHTTP", transport: "tcp", dial: func(e *stockEnv) (*rpc.Client, error) { return rpc.DialHTTP("tcp", e.addr()) }},
	{name: "DialHTTPPath", transport: "tcp", dial: dialStockHTTP("/some/path")},
	{name: "DialHTTP, http.Server", transport: "http", dial: func(e *stockEnv) (*rpc.Client, error) { return rpc.DialHTTP("tcp", e.addr()) }},
	{name: "DialHTTP, mux", transport: "tcp", prepare: behindMux, dial: dialStockHTTP(rpc.DefaultRPCPath)},
	{name: "DialHTTPPath, mux", transport: "tcp", prepare: behindMux, dial: dialStockHTTP("/some/path")},
	{name: "DialHTTPPath, StripPrefix", transport: "tcp", prepare: behindMux, dial: dialStockHTTP("/stripped/below")},
}

// eachStockWay runs f over each way.
func eachStockWay(t *testing.T, f func(t *testing.T, e *stockEnv, client *rpc.Client)) {
	for _, way := range stockWays {
		t.Run(way.name, func(t *testing.T) {
			e := newStockEnv(t, way.transport)
			if way.prepare != nil {
				way.prepare(e)
			}
			f(t, e, e.stock(way))
		})
	}
}

// Stock is a service as programs for net/rpc have them, and more.
type Stock int

// Add takes its arguments by value, Mul by pointer.
func (*Stock) Add(args Args, reply *Reply) error {
	reply.C = args.A + args.B
	return nil
}

// Mul is Add's sibling.
func (*Stock) Mul(args *Args, reply *Reply) error {
	reply.C = args.A * args.B
	return nil
}

// Div fails with an error of its own.
func (*Stock) Div(args Args, reply *Reply) error {
	if args.B == 0 {
		return errors.New("divide by zero: 100% of it")
	}
	reply.C = args.A / args.B
	return nil
}

// Text replies with a string.
func (*Stock) Text(args *Args, reply *string) error {
	*reply = fmt.Sprintf("%d+%d=%d", args.A, args.B, args.A+args.B)
	return nil
}

// Scan takes a string.
func (*Stock) Scan(text string, reply *Reply) error {
	_, err := fmt.Sscan(text, &reply.C)
	return err
}

// Echo replies with its argument.
func (*Stock) Echo(data []byte, reply *[]byte) error {
	*reply = data
	return nil
}

// Unsendable replies with what no codec can encode.
func (*Stock) Unsendable(args Args, reply *Unsendable) error {
	reply.F = func() {}
	reply.unexported = args.A
	return nil
}

// An Unsendable has nothing that gob could send, and what JSON can't.
type Unsendable struct {
	F          func()
	unexported int
}

// Panic panics.
func (*Stock) Panic(Args, *Reply) error { panic("out of coffee") }

type hidden int

// Exported is promoted from a type that is not exported.
func (*hidden) Exported(args Args, reply *Reply) error {
	reply.C = args.A + args.B
	return nil
}

// Embed has the method of what it embeds.
type Embed struct{ hidden }

// Builtin replies with types that have no name.
type Builtin struct{}

// Map fills a map, which is made before the call.
func (Builtin) Map(i int, reply *map[int]int) error {
	(*reply)[i] = i
	return nil
}

// Slice appends to a slice.
func (Builtin) Slice(i int, reply *[]int) error {
	*reply = append(*reply, i)
	return nil
}

// Array sets an element.
func (Builtin) Array(i int, reply *[1]int) error {
	(*reply)[0] = i
	return nil
}

// stockAdd makes a good call, which shows that the connection works.
func stockAdd(t testing.TB, client *rpc.Client) {
	t.Helper()
	var reply Reply
	if err := stockCall(t, client, "Stock.Add", Args{7, 8}, &reply); err != nil || reply.C != 15 {
		t.Fatalf("7 + 8 = %d, %v", reply.C, err)
	}
}

// stockCall calls and does not wait for ever.
func stockCall(t testing.TB, client *rpc.Client, method string, args, reply any) error {
	t.Helper()
	call := client.Go(method, args, reply, nil)
	return stockAwait(t, call)
}

func stockAwait(t testing.TB, call *rpc.Call) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	select {
	case <-call.Done:
		return call.Error
	case <-ctx.Done():
		t.Fatalf("%s is not answered", call.ServiceMethod)
		return nil
	}
}

// wantServerError checks the exact text of an error that came from the server.
func wantServerError(t testing.TB, err error, text string) {
	t.Helper()
	var e rpc.ServerError
	if !errors.As(err, &e) || string(e) != text {
		t.Errorf("the error is %T %q, want the server's %q", err, err, text)
	}
}

// A Gate has methods that wait.
type Gate struct {
	entered chan int   // says that a method has begun
	open    chan bool  // lets one end
	ended   chan error // says why a context has ended
}

// gate starts the server and registers a Gate, which is opened for all at the end of the
// test, before the server is closed.
func (e *stockEnv) gate() *Gate {
	e.t.Helper()
	e.start()
	g := &Gate{entered: make(chan int, 100), open: make(chan bool), ended: make(chan error, 100)}
	if err := e.RegisterName("Gate", g); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { close(g.open) })
	return g
}

// await waits until a method has begun.
func (g *Gate) await(t testing.TB) {
	t.Helper()
	select {
	case <-g.entered:
	case <-time.After(patient):
		t.Fatal("the method does not begin")
	}
}

// Wait waits for the gate.
func (g *Gate) Wait(i int, reply *int) error {
	g.entered <- i
	<-g.open
	*reply = i
	return nil
}

// WaitContext waits for its context to end, or for the gate.
func (g *Gate) WaitContext(ctx context.Context, i int, reply *int) error {
	g.entered <- i
	select {
	case <-ctx.Done():
		g.ended <- ctx.Err()
		return ctx.Err()
	case <-g.open:
		*reply = i
		return nil
	}
}
