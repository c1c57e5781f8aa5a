package geerpc

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
)

// TestMessages_Knocks: a server's log names what has knocked, and what can be told is told
// what it has met.
func TestMessages_Knocks(t *testing.T) {
	dial := func(t *testing.T, addr string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patient))
		return conn
	}
	say := func(text string) func(*testing.T, string) string {
		return func(t *testing.T, addr string) string {
			conn := dial(t, addr)
			io.WriteString(conn, text)
			answer, _ := io.ReadAll(conn)
			return string(answer)
		}
	}
	get := func(t *testing.T, addr string) string {
		web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := web.Post("http://"+addr+"/any/path", "text/plain", strings.NewReader(strings.Repeat("x", 100_000)))
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.Status + ": " + string(body)
	}
	secure := func(t *testing.T, addr string) string {
		return tls.Client(dial(t, addr), &tls.Config{ServerName: "localhost"}).Handshake().Error()
	}
	netRPC := func(t *testing.T, addr string) string {
		client := rpc.NewClient(dial(t, addr))
		defer client.Close()
		return client.Call("Arith.Add", Args{}, nil).Error()
	}
	for _, c := range []struct {
		transport, name string
		knock           func(t *testing.T, addr string) (heard string)
		heard, logged   string
	}{
		{"tcp", "HTTP", get, "400 This is geerpc without HTTP: This port speaks geerpc's own protocol", "an HTTP request"},
		{"tcp", "CONNECT", say("CONNECT /_geeprc_ HTTP/1.0\r\n\r\n"), "HTTP/1.1 400 This is geerpc without HTTP\r\n", "an HTTP request"},
		{"tcp", "TLS", secure, "first record does not look like a TLS handshake", "a TLS handshake"},
		{"tcp", "net/rpc", netRPC, "", "a net/rpc client"},
		{"tcp", "another", say("ssh-2.0-OpenSSH_9.6\r\n"), "", `it begins with \"ssh-2.0-OpenSSH_\"`},
		{"tls", "HTTP", say("GET / HTTP/1.0\r\n\r\n"), "", "it is an HTTP request without TLS"},
		{"tls", "our client", say(`{"MagicNumber":3927900}`), "", "it is a client of geerpc or JSON-RPC without TLS"},
	} {
		t.Run(c.transport+"/"+c.name, func(t *testing.T) {
			e := newEnv(t, c.transport, codec.GobType)
			logger, log := listenIn()
			e.Logger = logger
			e.Protocols = []*Protocol{GeeRPC}
			e.start()
			if heard := c.knock(t, e.lis.Addr().String()); !strings.Contains(heard, c.heard) {
				t.Errorf("it has heard %q, want %q", heard, c.heard)
			}
			eventually(t, "the knock is logged", func() bool { return log.String() != "" })
			if line := log.String(); !strings.Contains(line, "connection rejected") || !strings.Contains(line, c.logged) || strings.Count(line, "\n") != 1 {
				t.Errorf("logged %s, want %q", line, c.logged)
			}
		})
	}
}

// TestMessages_NetRPCServer: a client that dials a server of net/rpc is told that this
// may be one, or that it is, and not to set Option.Legacy.
func TestMessages_NetRPCServer(t *testing.T) {
	server := rpc.NewServer()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: server}
	served := make(chan error, 1)
	go func() { served <- web.Serve(lis) }() // ends with the test
	t.Cleanup(func() { web.Close(); <-served })
	behindHTTP := "http@" + lis.Addr().String()
	_, err = XDial(behindHTTP, &Option{HTTPPath: rpc.DefaultRPCPath, ConnectTimeout: patient})
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
	if want := "rpc client: " + behindHTTP + ": the server is one of net/rpc, which speaks another protocol: set Option.Protocol to NetRPC"; err.Error() != want {
		t.Error(err)
	}
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() { defer close(ended); server.ServeConn(far) }()
	_, err = NewClient(near, &Option{ConnectTimeout: patient})
	<-ended
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
	if !strings.Contains(err.Error(), "One of net/rpc hangs up too") || strings.Contains(err.Error(), "Legacy") {
		t.Error(err)
	}
}
