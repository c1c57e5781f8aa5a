package geerpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/leak"
	"geerpc/internal/rpctest"
)

// What is shared with the tests in test/.
const (
	framedJSON  = rpctest.FramedJSON
	wholeType   = rpctest.WholeType
	patient     = rpctest.Patient
	legacyBytes = rpctest.LegacyBytes
)

var (
	transports  = rpctest.Transports
	codecs      = rpctest.Codecs
	certificate = rpctest.Certificate
	eventually  = rpctest.Eventually
	heapInUse   = rpctest.HeapInUse
	listenIn    = rpctest.Logger
	intercept   = rpctest.Intercept[CallFunc]

	newWholeCodec = rpctest.NewWholeCodec
	allKinds      = rpctest.AllKinds
	sayLine       = rpctest.SayLine
	hearLine      = rpctest.HearLine
	expectClosed  = rpctest.ExpectClosed
	double        = rpctest.Double
	serveDouble   = rpctest.ServeDouble
	welcome       = rpctest.Welcome
)

// TestMain fails the package if goroutines are left behind, and is the server
// process of the benchmarks.
func TestMain(m *testing.M) {
	serveBenchmark()
	leak.Main(m)
}

// each runs f over every transport and codec.
func each(t *testing.T, f func(t *testing.T, e *env)) {
	for _, transport := range transports {
		for _, c := range codecs {
			name := transport + "/" + strings.TrimPrefix(strings.TrimPrefix(string(c), "application/"), "test/")
			t.Run(name, func(t *testing.T) { f(t, newEnv(t, transport, c)) })
		}
	}
}

// inBubble runs f as a subtest whose time is a synctest bubble's.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// An env is a server, not yet started, and a way to it.
type env struct {
	*Server
	t         testing.TB
	transport string
	codec     codec.Type
	lis       net.Listener
	option    Option // what dial uses where its own option says nothing
	served    chan error
}

// newEnv makes a server with an Arith service. Configure it, then dial: the
// first dial, or start, starts it. It is closed with the test.
func newEnv(t testing.TB, transport string, c codec.Type) *env {
	t.Helper()
	e := &env{Server: NewServer(), t: t, transport: transport, codec: c, option: Option{ConnectTimeout: 10 * time.Second}}
	if err := e.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	return e
}

// start listens and serves.
func (e *env) start() {
	e.t.Helper()
	if e.lis != nil {
		return
	}
	if e.transport == "pipe" {
		lis := NewPipeListener()
		e.lis, e.option.Dialer = lis, lis.DialContext
	} else {
		e.lis, e.option.TLSConfig = rpctest.Listen(e.t, e.transport)
	}
	e.served = make(chan error, 1)
	if e.transport == "http" {
		mux := http.NewServeMux()
		mux.Handle(defaultRPCPath, e.Server)
		hs := &http.Server{Handler: mux}
		go func() { e.served <- hs.Serve(e.lis) }()
		e.t.Cleanup(func() { hs.Close(); e.Close(); <-e.served })
		return
	}
	go func() { e.served <- e.Serve(e.lis) }()
	e.t.Cleanup(func() { e.Close(); e.lis.Close(); <-e.served })
}

// dial returns a client, closed with the test. What o leaves out is e.option's.
func (e *env) dial(o *Option) *Client {
	e.t.Helper()
	c, err := e.tryDial(o)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

func (e *env) tryDial(o *Option) (*Client, error) {
	e.t.Helper()
	e.start()
	var opt Option
	if o != nil {
		opt = *o
	}
	if opt.CodecType == "" {
		opt.CodecType = e.codec
	}
	if opt.ConnectTimeout == 0 {
		opt.ConnectTimeout = e.option.ConnectTimeout
	}
	if opt.Dialer == nil {
		opt.Dialer = e.option.Dialer
	}
	if opt.TLSConfig == nil {
		opt.TLSConfig = e.option.TLSConfig
	}
	var c *Client
	var err error
	if e.transport == "http" {
		c, err = DialHTTP("tcp", e.lis.Addr().String(), &opt)
	} else {
		c, err = Dial(e.lis.Addr().Network(), e.lis.Addr().String(), &opt)
	}
	if err == nil {
		e.t.Cleanup(func() { c.Close() })
	}
	return c, err
}

// wantError checks what kind of error a call returned.
func wantError(t testing.TB, err error, code Code, where Where, ran Ran) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want an *Error", err, err)
	}
	if e.Code != code || e.Where != where || e.Ran != ran {
		t.Fatalf("error is %v, %v, ran %v; want %v, %v, ran %v: %v", e.Code, e.Where, e.Ran, code, where, ran, err)
	}
}

// Args and Reply are what Arith works on.
type (
	Args  struct{ A, B int }
	Reply struct{ C int }
)

// Arith is the service of most tests.
type Arith int

// Add adds.
func (*Arith) Add(args Args, reply *Reply) error {
	reply.C = args.A + args.B
	return nil
}

// Div divides, or fails with an error of its own.
func (*Arith) Div(args *Args, reply *Reply) error {
	if args.B == 0 {
		return errors.New("100% of load: division by zero")
	}
	reply.C = args.A / args.B
	return nil
}

// Block waits for its context to end and returns its error.
func (*Arith) Block(ctx context.Context, _ Args, _ *Reply) error {
	<-ctx.Done()
	return ctx.Err()
}

// Panic panics.
func (*Arith) Panic(args Args, _ *Reply) error {
	switch args.A {
	case 0:
		panic("out of coffee")
	case 1:
		panic(errors.New("an error as a panic"))
	case 2:
		var m map[string]int
		//lint:ignore SA5000 that is the fault
		m["nil"] = 1
	}
	runtime.Goexit()
	return nil
}

// endedCalls returns how many calls of a method have ended.
func (m *method) endedCalls() int64 {
	ended, _ := m.stats.Totals()
	return ended
}
