package test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/rpctest"
)

// ServeCodec and a Protocol of one's own are the two ends of a connection without a
// handshake.
func TestProtocols_ServeCodec(t *testing.T) {
	for name, c := range map[string]codec.NewCodecFunc{"gob": codec.NewGobCodec, "JSON": codec.NewJSONCodec} {
		t.Run(name, func(t *testing.T) {
			server := &geerpc.Server{Token: "for those who shake hands", Codecs: []codec.Type{"none"}}
			server.Register(StockArith{})
			near, far := net.Pipe()
			served := make(chan struct{})
			go func() { defer close(served); server.ServeCodec(far, c) }() // ends with the connection
			client, err := geerpc.NewClient(near, &geerpc.Option{Protocol: &geerpc.Protocol{Name: "mine", ClientCodec: c}})
			if err != nil {
				t.Fatal(err)
			}
			var sum int
			if err := client.Call(t.Context(), "StockArith.Add", StockArgs{1, 2}, &sum); err != nil || sum != 3 {
				t.Errorf("%d, %v", sum, err)
			}
			if err := client.Call(t.Context(), "StockArith.Div", StockArgs{1, 0}, &sum); err == nil || err.Error() != "divide by 100%" {
				t.Error(err)
			}
			client.Close()
			<-served
			server.Close()
		})
	}
}

// A method that ServeRequest calls knows its peer, with the state of TLS.
func TestProtocols_PeerOfRequest(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	server := geerpc.NewServer()
	defer server.Close()
	seen := make(chan geerpc.Peer, 1)
	geerpc.RegisterFunc(server, "peer", func(ctx context.Context, _ any) (any, error) {
		peer, _ := geerpc.PeerFrom(ctx)
		seen <- peer
		return nil, nil
	})
	lis, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	served := make(chan error, 1)
	go func() { // ends with the request
		conn, err := lis.Accept()
		if err == nil {
			defer conn.Close()
			err = server.ServeRequest(conn, codec.NewJSONRPCServer)
		}
		served <- err
	}()
	conn, err := tls.Dial("tcp", lis.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, `{"jsonrpc":"2.0","method":"peer","id":1}`)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if peer := <-seen; peer.Addr == nil || peer.Addr.String() != conn.LocalAddr().String() || peer.TLS == nil || !peer.TLS.HandshakeComplete {
		t.Errorf("peer is %+v", peer)
	}
}

// ServeRequest serves a call, answers it before it returns, and leaves the connection open.
func TestProtocols_ServeRequest(t *testing.T) {
	server := geerpc.NewServer()
	server.Register(StockArith{})
	defer server.Close()
	near, far := net.Pipe()
	defer far.Close()
	client, err := geerpc.NewClient(near, &geerpc.Option{Protocol: geerpc.NetRPC})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // a codec each: gob's definitions are sent with the first call only
		if i > 0 {
			client.Close()
			near, far = net.Pipe()
			defer far.Close()
			if client, err = geerpc.NewClient(near, &geerpc.Option{Protocol: geerpc.NetRPC}); err != nil {
				t.Fatal(err)
			}
		}
		var sum int
		call := client.Go("StockArith.Add", StockArgs{i, i}, &sum, nil)
		if err := server.ServeRequest(far, codec.NewGobCodec); err != nil {
			t.Error(err)
		}
		if <-call.Done; call.Error != nil || sum != 2*i {
			t.Errorf("%d, %v", sum, call.Error)
		}
	}
	client.Close()
	if err := server.ServeRequest(far, codec.NewGobCodec); err != io.EOF {
		t.Errorf("without a request: %v", err)
	}
	closed := geerpc.NewServer()
	closed.Close()
	if err := closed.ServeRequest(far, codec.NewGobCodec); err != geerpc.ErrServerClosed {
		t.Errorf("of a Server that is closed: %v", err)
	}
	for text, want := range map[string]error{"\x05garbage": codec.ErrCorrupt, "\x05": io.ErrUnexpectedEOF} {
		near, far := net.Pipe()
		go func() { io.WriteString(near, text); near.Close() }() // ends with the connection
		if err := server.ServeRequest(far, codec.NewGobCodec); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// A header of a request that has an error, as only a codec should put it there, does not
// come back in any length: refusals wait in any number for a client that does not read.
func TestProtocols_LongErrorInRequest(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	conn := e.bare()
	io.WriteString(conn, `{"MagicNumber":3927900,"CodecType":"application/json"}`+
		`{"ServiceMethod":"Arith.Add","Seq":1,"Error":"`+strings.Repeat("x", 1<<20)+`"}{}`)
	conn.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(conn); len(answer) < 1024 || len(answer) > 2048 || err != nil {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
}

// A client for which ServeCodec has no place is told so, and that is logged.
func TestProtocols_ServeCodecFull(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxConns = 1
	logger, log := rpctest.Logger()
	e.Logger = logger
	mustAdd(t, e.dial(nil))
	near, far := net.Pipe()
	served := make(chan bool)
	go func() { defer close(served); e.ServeCodec(far, codec.NewJSONRPCServer) }() // ends with the answer
	io.WriteString(near, `{"jsonrpc":"2.0","method":"Arith.Add","id":1}`)
	if answer, err := io.ReadAll(near); !strings.Contains(string(answer), "Server.MaxConns (1)") || err != nil {
		t.Errorf("%s, %v", answer, err)
	}
	near.Close()
	<-served
	eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), "connection rejected") })
}
