package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geerpc"
)

func TestCall(t *testing.T) {
	addr := serve(t, nil, nil)
	file := written(t, []byte("{\n\"A\": 7,\n\"B\": 2\n}\n"))
	for _, c := range []struct {
		name, in string
		args     []string
		want     outcome
	}{
		{"an object", "", []string{addr, "Arith.Add", `{"A":1,"B":2}`}, outcome{"3\n", "", 0}},
		{"no arguments", "", []string{addr, "Arith.Add"}, outcome{"0\n", "", 0}},
		{"a negative number", "", []string{addr, "Arith.Neg", "-5"}, outcome{"5\n", "", 0}},
		{"behind --", "", []string{"-timeout=9s", "--", addr, "Arith.Neg", "-5"}, outcome{"5\n", "", 0}},
		{"a file", "", []string{addr, "Arith.Div", "@" + file}, outcome{"{\n  \"Quo\": 3,\n  \"Rem\": 1\n}\n", "", 0}},
		{"standard input", `{"A":3}`, []string{addr, "Arith.Add", "@-"}, outcome{"3\n", "", 0}},
		{"on one line", "", []string{"-json", addr, "Arith.Div", "@" + file}, outcome{`{"Quo":3,"Rem":1}` + "\n", "", 0}},
		{"metadata", "", []string{addr, "-H", "tenant=a=b", "Arith.Add", "-i"}, outcome{"0\n", "from: server of a=b\n", 0}},
		{"lines", "{\"A\":1}\n\n{\"A\":2,\"B\":3}", []string{addr, "Arith.Add", "-"}, outcome{"1\n5\n", "", 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := geerpcInput(t, c.in, append([]string{"call"}, c.args...)...); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCall_Failures(t *testing.T) {
	refuseNeg := func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "Arith.Neg" {
			return geerpc.Errorf(geerpc.CodePermissionDenied, "not for you")
		}
		return nil
	}
	addr := serve(t, &geerpc.Server{MaxMessageBytes: 1000, Admit: []func(context.Context, string) error{refuseNeg}}, nil)
	for _, c := range []struct {
		name string
		args []string
		exit int
		log  string
	}{
		{"the method fails", []string{addr, "Arith.Div"}, exitMethod, "division by zero"},
		{"unknown method", []string{addr, "Arith.add2"}, exitBadCall, "did you mean Arith.Add?"},
		{"unknown service", []string{addr, "Nothing.Like"}, exitBadCall, "geerpc list " + addr},
		{"wrong arguments", []string{addr, "Arith.Add", `{"A":"x"}`}, exitBadCall, "geerpc describe " + addr + " Arith.Add"},
		{"no JSON", []string{addr, "Arith.Add", `{A:1}`}, exitUsage, "is not JSON"},
		{"too large", []string{addr, "Arith.Add", `{"A":1,"` + strings.Repeat("x", 2000) + `":1}`}, exitUnavailable, "limit"},
		{"not allowed", []string{addr, "Arith.Neg", "1"}, exitDenied, "does the server know you"},
		{"time is up", []string{addr, "Arith.Wait", "-timeout", "50ms"}, exitDeadline, "-timeout"},
		{"nobody there", []string{nobody(t), "Arith.Add"}, exitUnavailable, "is the server running"},
		{"no TLS there", []string{addr, "Arith.Add", "-tls"}, exitUnavailable, "TLS"},
		{"no method", []string{addr, "Arith"}, exitUsage, "want Service.Method"},
		{"no port", []string{"127.0.0.1", "Arith.Add"}, exitUsage, "want host:port"},
		{"no file", []string{addr, "Arith.Add", "@/no/such/file"}, exitFailure, "/no/such/file"},
		{"bad metadata", []string{addr, "Arith.Add", "-H", "tenant"}, exitUsage, "key=value"},
		{"no such flag", []string{addr, "Arith.Add", "-jsn"}, exitUsage, "did you mean -json?"},
		{"too many", []string{addr, "Arith.Add", "{", "}"}, exitUsage, "quotes"},
		{"too few", []string{addr}, exitUsage, "1 argument is missing"},
		{"one file of two", []string{addr, "Arith.Add", "-cert-file", "x"}, exitUsage, "go together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := geerpcRun(t, append([]string{"call"}, c.args...)...)
			if o.want(t, c.exit, "", c.log); o.out != "" {
				t.Errorf("the output is %q", o.out)
			}
		})
	}
}

// TestCall_ServerLimits: the hint names the limit that was met.
func TestCall_ServerLimits(t *testing.T) {
	hasty := &geerpc.Server{HandleTimeout: 20 * time.Millisecond}
	answered := make(chan struct{})
	if err := geerpc.RegisterFunc(hasty, "Slow.Hang", func(context.Context, int) (int, error) { <-answered; return 0, nil }); err != nil {
		t.Fatal(err)
	}
	geerpcRun(t, "call", serve(t, hasty, nil), "Slow.Hang").want(t, exitDeadline, "", "its HandleTimeout")
	close(answered)

	full := serve(t, &geerpc.Server{MaxConns: 1}, nil)
	client, err := geerpc.Dial("tcp", full)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, args := range [][]string{{"list", full}, {"watch", full}, {"call", full, "Arith.Neg"}} {
		geerpcRun(t, args...).want(t, exitUnavailable, "", "by Server.MaxConns (1)\nhint: the server's debug page")
	}
}

// TestTimeoutHint: the hint depends on who noticed, and on whether the method ran.
func TestTimeoutHint(t *testing.T) {
	for _, c := range []struct {
		where geerpc.Where
		ran   geerpc.Ran
		want  string
	}{
		{geerpc.OnLink, geerpc.RanMaybe, "-timeout gives it more time"},
		{geerpc.InServer, geerpc.RanNever, "HandleTimeout"},
		{geerpc.InMethod, geerpc.RanMaybe, "HandleTimeout"},
		{geerpc.InMethod, geerpc.RanYes, "the method gave up"},
	} {
		err := &geerpc.Error{Code: geerpc.CodeDeadlineExceeded, Where: c.where, Ran: c.ran}
		if got := timeoutHint(err); !strings.Contains(got, c.want) {
			t.Errorf("%v, ran: %v: %q, want %q", c.where, c.ran, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"Orders.Wide", "Orders.Get", "Catalogue.Find"}
	for wrong, want := range map[string]string{
		"Orders.Nope": "", "Orders.Wied": "Orders.Wide", "orders.get": "Orders.Get", "Order.Get": "Orders.Get",
		"Catalog.Find": "Catalogue.Find", "Get": "", "Basket.Get": "",
	} {
		if got := didYouMean(wrong, names); got != "" && want == "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", wrong, got, want)
		}
	}
}

func TestCall_ErrorAsJSON(t *testing.T) {
	o := geerpcRun(t, "call", serve(t, nil, nil), "Arith.Subtract", "-json")
	var p problem
	if err := json.Unmarshal([]byte(o.log), &p); err != nil {
		t.Fatalf("%v: %s", err, o.log)
	}
	if o.exit != exitBadCall || p.Exit != o.exit || p.Code != "not found" || p.Ran != "never" || p.Error == "" || p.Hint == "" {
		t.Errorf("%+v", p)
	}
}

// TestCall_Lines: each line has its own reply, and those that fail don't end it.
func TestCall_Lines(t *testing.T) {
	o := geerpcInput(t, "{\"A\":6,\"B\":2}\n{}\nnonsense\n{\"A\":5,\"B\":5}\n", "call", serve(t, nil, nil), "Arith.Div", "-")
	lines := strings.Split(strings.TrimSpace(o.out), "\n")
	if len(lines) != 4 || lines[0] != `{"Quo":3,"Rem":0}` || !strings.Contains(lines[1], `"error":"division by zero"`) ||
		!strings.Contains(lines[2], "is not JSON") || lines[3] != `{"Quo":1,"Rem":0}` {
		t.Errorf("the lines are %q", lines)
	}
	o.want(t, exitMethod, "", "2 calls failed")
}

// TestCall_Conversation: a line is answered before the next one is there.
func TestCall_Conversation(t *testing.T) {
	cmd := process(t, "call", serve(t, nil, nil), "Arith.Neg", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	replies := bufio.NewScanner(out)
	for i := range 3 {
		fmt.Fprintln(in, -i)
		if !replies.Scan() || replies.Text() != fmt.Sprint(i) {
			t.Errorf("the reply to %d is %q, %v", -i, replies.Text(), replies.Err())
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestCall_Secrets: TLS with an authority of our own, and a token.
func TestCall_Secrets(t *testing.T) {
	addr, ca := serveTLS(t, &geerpc.Server{Token: "s3cret"})
	token := written(t, []byte("s3cret\n"))
	trust := []string{"-ca-file", ca, "-server-name", "geerpc.test"}
	call := func(more ...string) outcome {
		return geerpcRun(t, append([]string{"call", addr, "Arith.Neg", "1"}, more...)...)
	}
	call(append(trust, "-token-file", token)...).want(t, 0, "-1\n", "")
	call("-insecure", "-token-file", token).want(t, 0, "-1\n", "")
	geerpcRun(t, append([]string{"call", "tls@" + addr, "Arith.Neg", "1", "-token-file", token}, trust...)...).want(t, 0, "-1\n", "")
	call(trust...).want(t, exitDenied, "", "-token-file FILE")
	call("-tls", "-server-name", "geerpc.test", "-token-file", token).want(t, exitDenied, "", "-ca-file FILE")
	call("-ca-file", ca, "-token-file", token).want(t, exitDenied, "", "-server-name NAME")
	call("-token-file", token).want(t, exitUnavailable, "", "-tls")
	onOwnPort := &geerpc.Server{TLSConfig: &tls.Config{}}
	geerpcRun(t, "call", serve(t, onOwnPort, nil), "Arith.Neg", "1").want(t, exitDenied, "", "-tls")
	call("-ca-file", token).want(t, exitFailure, "", "no certificate")
	t.Setenv(tokenVariable, "s3cret")
	call(trust...).want(t, 0, "-1\n", "")
}

// TestCall_ClientCertificate: a server that asks for one.
func TestCall_ClientCertificate(t *testing.T) {
	cert, key := selfSigned(t, 7)
	certFile, keyFile := written(t, cert), written(t, key)
	files := &geerpc.TLSFiles{CertFile: certFile, KeyFile: keyFile, CAFile: certFile}
	config, err := files.Server()
	if err != nil {
		t.Fatal(err)
	}
	config.ClientAuth, config.GetConfigForClient = tls.RequireAnyClientCert, nil // it is no authority's
	addr := serve(t, nil, config)
	geerpcRun(t, "call", addr, "Arith.Neg", "1", "-insecure", "-cert-file", certFile, "-key-file", keyFile).want(t, 0, "-1\n", "")
}

// TestCall_Transports: a server behind HTTP, at a path of its own, and one on a Unix
// socket.
func TestCall_Transports(t *testing.T) {
	s := geerpc.NewServer()
	serve(t, s, nil)
	mux := http.NewServeMux()
	mux.Handle("/rpc", s)
	front := httptest.NewServer(mux)
	defer front.Close()
	defer s.Close() // first: its connections are the front's too
	geerpcRun(t, "call", "http@"+front.Listener.Addr().String(), "-http-path", "/rpc", "Arith.Neg", "1").want(t, 0, "-1\n", "")
	geerpcRun(t, "call", "http@"+front.Listener.Addr().String(), "Arith.Neg", "1").want(t, exitUnavailable, "", "404")

	socket := filepath.Join(t.TempDir(), "socket")
	lis, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }() // ends with Close
	for _, addr := range []string{socket, "unix@" + socket} {
		geerpcRun(t, "call", addr, "Arith.Neg", "1").want(t, 0, "-1\n", "")
	}
	s.Close()
	<-served
	geerpcRun(t, "call", socket, "Arith.Neg", "1").want(t, exitUnavailable, "", "is the server running")
}

// A server of JSON-RPC is called like one of ours.
func TestCall_JSONRPC(t *testing.T) {
	addr := "jsonrpc@" + serve(t, nil, nil)
	geerpcRun(t, "call", addr, "Arith.Add", `{"A":1,"B":2}`).want(t, 0, "3\n", "")
	geerpcRun(t, "call", addr, "Arith.Neg", "-5").want(t, 0, "5\n", "")
	geerpcRun(t, "call", addr, "Arith.Div").want(t, exitMethod, "", "division by zero")
}

// Protocols that lack what a call needs are refused with one that has it.
func TestCall_WrongProtocol(t *testing.T) {
	addr := serve(t, &geerpc.Server{Token: "s3cret"}, nil)
	t.Setenv(tokenVariable, "s3cret")
	geerpcRun(t, "call", "rpc@"+addr, "Arith.Neg", "1").want(t, exitUsage, "", "tcp@"+addr)
	geerpcRun(t, "call", "jsonrpc@"+addr, "Arith.Neg", "1").want(t, exitDenied, "", "call it at tcp@"+addr)
}
