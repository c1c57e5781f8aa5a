package geerpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// framedJSON is a codec made by codec.Framed, for the tests.
const framedJSON codec.Type = "test/framed-json"

func init() { codec.Register(framedJSON, codec.Framed(json.Marshal, json.Unmarshal)) }

var (
	transports = []string{"pipe", "tcp", "unix", "tls", "http"}
	codecs     = []codec.Type{codec.GobType, codec.JsonType, framedJSON}
)

// TestMain fails the package if goroutines are left behind, and is the server
// process of the benchmarks.
func TestMain(m *testing.M) {
	serveBenchmark()
	code := m.Run()
	if code == 0 {
		code = checkLeaks()
	}
	os.Exit(code)
}

// checkLeaks gives goroutines that are about to end time to do so.
func checkLeaks() int {
	var stacks string
	for range 100 {
		buf := make([]byte, 1<<20)
		_, stacks, _ = strings.Cut(string(buf[:runtime.Stack(buf, true)]), "\n\n") // all but this one
		if !strings.Contains(stacks, "geerpc") {
			return 0
		}
		<-time.After(50 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "goroutines left behind:\n", stacks)
	return 1
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
	var err error
	switch e.transport {
	case "pipe":
		lis := NewPipeListener()
		e.lis, e.option.Dialer = lis, lis.DialContext
	case "unix":
		e.lis, err = net.Listen("unix", filepath.Join(e.t.TempDir(), "s"))
	default:
		e.lis, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		e.t.Fatal(err)
	}
	if e.transport == "tls" {
		cert, pool := certificate(e.t, "localhost", time.Hour)
		e.lis = tls.NewListener(e.lis, &tls.Config{Certificates: []tls.Certificate{cert}})
		e.option.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
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

// certificate returns a self-signed certificate for name, and a pool with it.
func certificate(t testing.TB, name string, valid time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("never came true: ", what)
		}
		<-time.After(time.Millisecond)
	}
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
