package geerpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/transport"
)

// TestB104_Mismatches pairs each kind of client with each kind of port that it
// is not for. Each error says what to check.
func TestB104_Mismatches(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	open := func(wrap func(net.Listener) net.Listener, serve func(net.Listener)) string {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); serve(wrap(lis)) }()
		t.Cleanup(func() { lis.Close(); <-ended })
		return lis.Addr().String()
	}
	rpc := func(lis net.Listener) {
		server := &Server{Protocols: []*Protocol{GeeRPC}}
		defer server.Close()
		server.Serve(lis)
	}
	web := func(lis net.Listener) {
		server := &http.Server{Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		defer server.Close()
		server.Serve(lis)
	}
	plain := func(lis net.Listener) net.Listener { return lis }
	secure := func(lis net.Listener) net.Listener { return tls.NewListener(lis, config) }
	ports := map[string]string{"rpc": open(plain, rpc), "rpc with TLS": open(secure, rpc), "web": open(plain, web), "web with TLS": open(secure, web)}
	for _, c := range []struct{ protocol, port, hint string }{
		{"tcp", "rpc with TLS", "TLS"},
		{"tcp", "web", "DialHTTP"},
		{"tcp", "web with TLS", "HTTP"},
		{"tls", "rpc", "geerpc server without TLS"},
		{"tls", "web", "HTTP without TLS"},
		{"tls", "web with TLS", "https@"},
		{"http", "rpc", "geerpc server without HTTP"},
		{"http", "rpc with TLS", "TLS"},
		{"http", "web", "is there a geerpc server at /_geeprc_"},
		{"http", "web with TLS", "TLS"},
		{"https", "rpc", "geerpc server without TLS"},
		{"https", "rpc with TLS", "geerpc server without HTTP"},
		{"https", "web", "HTTP without TLS"},
		{"https", "web with TLS", "is there a geerpc server at /_geeprc_"},
	} {
		t.Run(c.protocol+" to "+c.port, func(t *testing.T) {
			opt := &Option{ConnectTimeout: patient}
			if strings.HasSuffix(c.protocol, "s") {
				opt.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
			}
			_, err := XDial(c.protocol+"@"+ports[c.port], opt)
			var e *Error
			if !errors.As(err, &e) || e.Ran != RanNever || !strings.Contains(err.Error(), c.hint) {
				t.Errorf("%v; want %q", err, c.hint)
			}
			t.Log(err)
		})
	}
}

// brokenConn fails to write, with an error of its own.
type brokenConn struct{ net.Conn }

var errBrokenConn = errors.New("the cable is cut")

func (brokenConn) Write([]byte) (int, error) { return 0, errBrokenConn }

// TestB106_HelloNotWritten has writing the hello fail: Dial says why.
func TestB106_HelloNotWritten(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		near, far := net.Pipe()
		_, err := NewClient(brokenConn{near}, &Option{Legacy: legacy, ConnectTimeout: patient})
		if legacy && err == nil { // it does not wait; the first call fails
			continue
		}
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
		if !errors.Is(err, errBrokenConn) || !strings.Contains(err.Error(), errBrokenConn.Error()) {
			t.Errorf("legacy %v: %v", legacy, err)
		}
		far.Close()
	}
}

// TestB106_UnfitAnswers has the server answer what is no acknowledgement, or
// one without a reason.
func TestB106_UnfitAnswers(t *testing.T) {
	for _, c := range []struct{ name, answer, says string }{
		{"no OK", `{"Error":"no"}`, `no acknowledgement of a geerpc server: "{\"Error\":\"no\"}"`},
		{"empty", `{}`, `no acknowledgement of a geerpc server: "{}"`},
		{"OK is no boolean", `{"OK":"yes"}`, `no acknowledgement of a geerpc server: "{\"OK\":\"yes\"}"`},
		{"error is no string", `{"OK":false,"Error":{"why":"not"}}`, `no acknowledgement of a geerpc server: "{\"OK\":false,\"Error\":{\"why\"`},
		{"code is no number", `{"OK":false,"Code":"x"}`, `no acknowledgement of a geerpc server`},
		{"a limit is no number", `{"OK":true,"MaxInFlight":true}`, `no acknowledgement of a geerpc server`},
		{"another language", "SSH-2.0-OpenSSH_9.6\r\n", `no acknowledgement of a geerpc server: "SSH-2.0-`},
		{"no reason", `{"OK":false}`, "refused the connection: unknown, without giving a reason"},
		{"a code only", `{"OK":false,"Code":8}`, "refused the connection: resource exhausted, without giving a reason"},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := net.Pipe()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				far.Read(make([]byte, handshake.MaxBytes))
				io.WriteString(far, c.answer)
				io.Copy(io.Discard, far)
			}()
			_, err := NewClient(near, &Option{ConnectTimeout: patient})
			<-ended
			var e *Error
			if !errors.As(err, &e) || e.Ran != RanNever || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "Go struct") {
				t.Errorf("%v; want %q", err, c.says)
			}
		})
	}
	t.Run("the server's side", func(t *testing.T) {
		for _, field := range []string{`"CodecType":7`, `"MaxMessageBytes":"x"`, `"Kinds":{}`} {
			conn := newEnv(t, "tcp", codec.GobType).unsaid()
			io.WriteString(conn, `{"MagicNumber":3927900,"Ack":true,`+field+`}`)
			var a handshake.Ack
			name, _, _ := strings.Cut(field[1:], `"`)
			if hearLine(t, conn, &a); a.OK || !strings.Contains(a.Error, "the field "+name+" of the hello can't be a JSON ") {
				t.Errorf("%s: %+v", field, a)
			}
		}
	})
}

// fullListener returns the address of a listener that accepts nothing, and
// whose backlog is full: who dials it waits.
func fullListener(t *testing.T, network string) string {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	return lis.Addr().String()
}

// TestD112_ConnectTimeout dials what takes longer than it may: the error is
// the timeout, whichever clock has noticed it first.
func TestD112_ConnectTimeout(t *testing.T) {
	// The kernel drops what does not answer: a Dialer shows what net.Dialer does then.
	slow := func(ctx context.Context, network, address string) (net.Conn, error) {
		deadline, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		time.Sleep(time.Until(deadline) - time.Millisecond/2) // as late as a net.Dialer may be
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
	hasty := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if deadline, ok := ctx.Deadline(); ok && err == nil {
			conn.SetDeadline(deadline.Add(-time.Millisecond / 2))
		}
		return conn, err
	}
	for _, protocol := range []string{"tcp", "unix", "tls", "http", "https"} {
		network := transport.ParseProtocol(protocol).Network
		address := fullListener(t, network)
		for name, dialer := range map[string]func(context.Context, string, string) (net.Conn, error){
			"no answer": nil, "Dialer with a deadline of its own": slow, "connection with a deadline": hasty,
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				const dials = 4
				var byOption, byContext [dials]error
				var wg sync.WaitGroup
				for i := range dials {
					wg.Go(func() {
						_, byOption[i] = XDial(protocol+"@"+address, &Option{ConnectTimeout: 20 * time.Millisecond, Dialer: dialer})
					})
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
						defer cancel()
						_, byContext[i] = XDialContext(ctx, protocol+"@"+address, &Option{ConnectTimeout: time.Minute, Dialer: dialer})
					})
				}
				wg.Wait()
				for i := range dials {
					err := byOption[i]
					wantError(t, err, CodeDeadlineExceeded, OnLink, RanNever)
					if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connect timeout: expect within 20ms") {
						t.Fatal(err)
					}
					err = byContext[i]
					wantError(t, err, CodeDeadlineExceeded, OnLink, RanNever)
					if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "connect timeout") {
						t.Fatal(err)
					}
				}
			})
		}
	}
	t.Run("a timeout of the Dialer's", func(t *testing.T) {
		own := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
		}
		_, err := Dial("tcp", "x", &Option{ConnectTimeout: time.Minute, Dialer: own})
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
	})
	t.Run("a context that does not keep its deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, err := XDialContext(brokenContext{t.Context()}, "tcp@x", &Option{Dialer: slow})
			wantError(t, err, CodeUnavailable, OnLink, RanNever)
		})
	})
}

// A brokenContext has a deadline and does not end.
type brokenContext struct{ context.Context }

func (brokenContext) Deadline() (time.Time, bool) { return time.Now(), true }

// TestD131_Dialers has Dialers and callbacks of TLS return nothing, panic and
// exit: Dial fails.
func TestD131_Dialers(t *testing.T) {
	var none *net.TCPConn
	e := newEnv(t, "tls", codec.GobType)
	e.start()
	cases := map[string]Option{
		"nil, nil":      {Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, nil }},
		"a nil pointer": {Dialer: func(context.Context, string, string) (net.Conn, error) { return none, nil }},
		"panic":         {Dialer: func(context.Context, string, string) (net.Conn, error) { panic("no dial tone") }},
		"exit":          {Dialer: func(context.Context, string, string) (net.Conn, error) { runtime.Goexit(); return nil, nil }},
		"TLS callback": {TLSConfig: &tls.Config{RootCAs: e.option.TLSConfig.RootCAs, ServerName: "localhost",
			VerifyConnection: func(tls.ConnectionState) error { panic("no certificate") }}},
		"TLS callback exits": {TLSConfig: &tls.Config{RootCAs: e.option.TLSConfig.RootCAs, ServerName: "localhost",
			VerifyConnection: func(tls.ConnectionState) error { runtime.Goexit(); return nil }}},
	}
	for name, opt := range cases {
		for _, protocol := range []string{"tcp@", "tls@", "http@", "https@"} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				log := new(logCount)
				opt.Logger, opt.ConnectTimeout = slog.New(log), patient
				_, err := XDial(protocol+e.lis.Addr().String(), &opt)
				wantError(t, err, CodeInternal, InClient, RanNever)
				panics := strings.Contains(err.Error(), "panicked")
				if panics {
					eventually(t, "the panic is logged", func() bool { return len(log.all()) == 1 })
				}
				t.Log(err)
			})
		}
	}
	e.idle()
	for _, dial := range []func(net.Conn, *Option) (*Client, error){NewClient, NewHTTPClient} {
		for _, conn := range []net.Conn{nil, none, NewConn(nil)} {
			_, err := dial(conn, nil)
			wantError(t, err, CodeInvalidArgument, InClient, RanNever)
		}
	}
}

// TestB132_Answer checks the answer to CONNECT, byte by byte, and that a strict
// parser takes it: that of Node, if it is installed.
func TestB132_Answer(t *testing.T) {
	e := newEnv(t, "http", codec.JsonType)
	e.start()
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	const want = "HTTP/1.0 200 Connected to Gee RPC\r\n\r\n"
	got := make([]byte, len(want))
	io.WriteString(conn, "CONNECT /_geeprc_ HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	t.Run("Node", func(t *testing.T) {
		if _, err := exec.LookPath("node"); err != nil {
			t.Skip("Node is not installed")
		}
		host, port, _ := net.SplitHostPort(e.lis.Addr().String())
		out, err := exec.Command("node", "-e", nodeClient, host, port).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != `{"C":5}` {
			t.Errorf("%s, %v", out, err)
		}
	})
}

// nodeClient is a program that calls Arith.Add through CONNECT.
const nodeClient = `
const [host, port] = process.argv.slice(1);
const req = require('http').request({host, port, method: 'CONNECT', path: '/_geeprc_'});
req.on('connect', (res, socket, head) => {
	socket.write('{"MagicNumber":3927900,"CodecType":"application/json"}\n{"ServiceMethod":"Arith.Add","Seq":1}\n{"A":2,"B":3}\n');
	let text = head.toString();
	socket.on('data', data => {
		text += data;
		const lines = text.split('\n');
		if (lines.length > 2) { console.log(lines[1]); process.exit(0); }
	});
});
req.on('error', err => { console.log(String(err)); process.exit(1); });
req.end();
`

// TestB132_Responses has the client take any 2xx, whatever its reason phrase,
// and name the host.
func TestB132_Responses(t *testing.T) {
	for _, status := range []string{"HTTP/1.0 200 Connected to Gee RPC\n\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"} {
		addr := double(t, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			http.ReadRequest(in)
			io.WriteString(conn, status)
			welcome(t, conn)
			io.Copy(io.Discard, in)
		})
		client, err := DialHTTP("tcp", addr, &Option{ConnectTimeout: patient})
		if err != nil {
			t.Errorf("%q: %v", status, err)
			continue
		}
		client.Close()
	}
}

// TestB132_Host has a mux choose by the host.
func TestB132_Host(t *testing.T) {
	server := NewServer()
	server.Register(new(Arith))
	defer server.Close()
	mux := http.NewServeMux()
	for _, host := range []string{"localhost", "127.0.0.1", "rpc.example.com"} {
		mux.Handle(host+defaultRPCPath, server)
	}
	web := httptest.NewServer(mux)
	defer web.Close()
	real := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", web.Listener.Addr().String())
	}
	for _, host := range []string{"localhost", "127.0.0.1", "rpc.example.com"} {
		client, err := XDial("http@"+host+":80", &Option{ConnectTimeout: patient, Dialer: real})
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		mustAdd(t, client)
		client.Close()
	}
}

// TestB133_Zone connects to an address with a zone: the certificate is for the
// address alone.
func TestB133_Zone(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler()) // whose certificate is for ::1, among others
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	_, err := XDial("tls@[::1%lo]:99", &Option{ConnectTimeout: patient, TLSConfig: &tls.Config{RootCAs: roots},
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", web.Listener.Addr().String())
		}})
	if err == nil || !strings.Contains(err.Error(), "speaks HTTP") { // so TLS is through
		t.Error(err)
	}
}

// TestB133_LargeLimits announces limits that no int has, as any language
// writes them.
func TestB133_LargeLimits(t *testing.T) {
	for _, limit := range []string{"3221225472", "9223372036854775808", "1e30"} {
		near, far := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			far.Read(make([]byte, handshake.MaxBytes))
			io.WriteString(far, `{"OK":true,"MaxMessageBytes":`+limit+`,"MaxInFlight":`+limit+"}\n")
			io.Copy(io.Discard, far)
		}()
		client, err := NewClient(near, &Option{ConnectTimeout: patient})
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		<-ended
		conn := newEnv(t, "tcp", codec.GobType).unsaid()
		io.WriteString(conn, `{"MagicNumber":3927900,"CodecType":"application/gob","Ack":true,"MaxMessageBytes":`+limit+`}`)
		var a handshake.Ack
		if hearLine(t, conn, &a); !a.OK {
			t.Errorf("%s: %+v", limit, a)
		}
	}
}
