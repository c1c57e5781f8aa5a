package test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/rpctest"
)

// A client that asks by HTTP CONNECT is served at the server's own port, with TLS and
// without, and takes one place of MaxConns.
func TestProtocols_ConnectOnPort(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secured), func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.MaxConns = 1
			opt := &geerpc.Option{ConnectTimeout: patient}
			if secured {
				e.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
				opt.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
			}
			seen := make(chan geerpc.Peer, 1)
			geerpc.RegisterFunc(e.Server, "Me.Peer", func(ctx context.Context, _ struct{}) (bool, error) {
				peer, ok := geerpc.PeerFrom(ctx)
				seen <- peer
				return ok, nil
			})
			e.start()
			for range 3 { // one after the other
				var client *geerpc.Client
				eventually(t, "a place is free", func() (ok bool) {
					var err error
					client, err = geerpc.DialHTTP("tcp", e.lis.Addr().String(), opt)
					return err == nil
				})
				var reply Reply
				if err := client.Call(t.Context(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
					t.Errorf("%v, %v", reply, err)
				}
				if err := client.Call(t.Context(), "Me.Peer", struct{}{}, nil); err != nil {
					t.Error(err)
				}
				if peer := <-seen; peer.Addr == nil || (peer.TLS != nil) != secured {
					t.Errorf("peer is %+v", peer)
				}
				client.Close()
			}
		})
	}
}

// What a client sends right behind its CONNECT is not lost.
func TestProtocols_ConnectPipelined(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	e.start()
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patient))
	io.WriteString(conn, "CONNECT /anything HTTP/1.0\r\nHost: here\r\n\r\n"+
		`{"MagicNumber":3927900,"CodecType":"application/json"}`+"\n"+`{"ServiceMethod":"Arith.Add","Seq":7}`+"\n"+`{"A":1,"B":2}`+"\n")
	in := bufio.NewReader(conn)
	if status, _ := in.ReadString('\n'); status != "HTTP/1.0 200 Connected to Gee RPC\r\n" {
		t.Errorf("status is %q", status)
	}
	in.ReadString('\n')
	if header, _ := in.ReadString('\n'); header != `{"ServiceMethod":"Arith.Add","Seq":7,"Error":""}`+"\n" {
		t.Errorf("answer is %q", header)
	}
}

// Behind a CONNECT there is no HTTP, and so no second CONNECT: each of them would cost
// goroutines and buffers, on one connection. TLS does not help, wherever it begins.
func TestProtocols_ConnectOnce(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	e := newEnv(t, "tcp", codec.GobType)
	e.TLSConfig, e.AllowPlaintext = &tls.Config{Certificates: []tls.Certificate{cert}}, true
	conn := e.bare()
	conn.SetDeadline(time.Now().Add(patient))
	connect := func() string {
		io.WriteString(conn, "CONNECT / HTTP/1.0\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(iotest.OneByteReader(conn)), &http.Request{Method: http.MethodConnect})
		if err != nil {
			t.Fatal(err)
		}
		return response.Status
	}
	if status := connect(); status != "200 Connected to Go RPC" {
		t.Error(status)
	}
	conn = tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	connect() // may do, once
	if status := connect(); !strings.HasPrefix(status, "400") {
		t.Error(status)
	}
}

// A stream without deadlines takes no HTTP: nothing would limit how long a client may take
// for a header, and a CONNECT would wait for more from a client that waits for its answer.
func TestProtocols_WebNeedsDeadlines(t *testing.T) {
	for _, request := range []string{"GET / HT", "CONNECT / HTTP/1.0\r\n\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			server := geerpc.NewServer()
			near, far := net.Pipe()
			go io.WriteString(near, request) // ends with the connection
			defer time.AfterFunc(time.Minute, func() { near.Close() }).Stop()
			began := time.Now()
			go server.ServeConn(struct{ io.ReadWriteCloser }{far}) // ends with the connection
			answer, _ := io.ReadAll(near)
			if !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || time.Since(began) > 15*time.Second {
				t.Errorf("%q is answered with %q after %v", request, answer, time.Since(began))
			}
			near.Close()
			server.Close()
		})
	}
}

// A CONNECT to another host is for a proxy, which no server is.
func TestProtocols_NoProxy(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.start()
	for _, target := range []string{"example.com:80", "localhost:22", "127.0.0.1:25"} {
		conn, err := net.Dial("tcp", e.lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patient))
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", target)
		if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v, %v", target, response, err)
		}
		conn.Close()
	}
}

// keepAlive is a connection by HTTP that is idle between two requests.
func keepAlive(t *testing.T, e *env) (conn net.Conn, in *bufio.Reader) {
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patient))
	in = bufio.NewReader(conn)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	if response.Close {
		t.Fatalf("%s, and it closes", response.Status)
	}
	return conn, in
}

// Shutdown and Close end a connection of HTTP that is idle, too, and nothing is left of it.
func TestProtocols_EndOfWeb(t *testing.T) {
	for name, end := range map[string]func(*geerpc.Server) error{
		"Shutdown": func(s *geerpc.Server) error { return s.Shutdown(context.Background()) },
		"Close":    (*geerpc.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.start()
			conn, in := keepAlive(t, e)
			if err := end(e.Server); err != nil {
				t.Error(err)
			}
			if _, err := in.ReadByte(); err == nil {
				t.Error("the connection is open")
			}
			conn.Close()
		})
	}
}

// A connection of HTTP counts: there are no more than MaxConns allows.
func TestProtocols_WebTakesPlace(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxConns = 1
	logger, log := rpctest.Logger()
	e.Logger = logger
	e.start()
	keepAlive(t, e)
	response, err := http.Get("http://" + e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusServiceUnavailable || len(text) == 0 {
		t.Errorf("%s: %s", response.Status, text)
	}
	_, err = geerpc.DialHTTP("tcp", e.lis.Addr().String(), &geerpc.Option{ConnectTimeout: patient})
	if geerpc.CodeOf(err) != geerpc.CodeUnavailable || !strings.Contains(err.Error(), "Server.MaxConns (1)") {
		t.Error(err)
	}
	_, err = geerpc.Dial("tcp", e.lis.Addr().String(), &geerpc.Option{ConnectTimeout: patient})
	if geerpc.CodeOf(err) != geerpc.CodeResourceExhausted {
		t.Error(err)
	}
	eventually(t, "all three are logged", func() bool { return strings.Count(log.String(), "connection rejected") == 3 })
}
