package xclient_test

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc"
	"geerpc/xclient"
)

// stockCalc serves Calc with the standard library's net/rpc, each connection by serveConn.
func stockCalc(t *testing.T, serveConn func(*rpc.Server, net.Conn)) (addr string) {
	server := rpc.NewServer()
	if err := server.Register(new(Calc)); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serveConn(server, conn) })
		}
	})
	t.Cleanup(func() { lis.Close(); conns.Wait() })
	return lis.Addr().String()
}

// One list has servers of net/rpc, of JSON-RPC 2.0 and of our own, with a
// token that only ours is sent: each call finds one, as does each policy.
func TestMixedServers(t *testing.T) {
	ours := &geerpc.Server{Token: "secret"}
	jsonRPC := geerpc.NewServer()
	addrs := []string{
		"rpc@" + stockCalc(t, func(s *rpc.Server, conn net.Conn) { s.ServeConn(conn) }),
	}
	for protocol, server := range map[string]*geerpc.Server{"tcp@": ours, "jsonrpc@": jsonRPC} {
		if err := server.Register(new(Calc)); err != nil {
			t.Fatal(err)
		}
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- server.Serve(lis) }() // ends with the test
		t.Cleanup(func() { server.Close(); <-served })
		addrs = append(addrs, protocol+lis.Addr().String())
	}
	xc := xclient.New(xclient.NewMultiServerDiscovery(addrs), xclient.Config{
		Option: &geerpc.Option{ConnectTimeout: 10 * time.Second, Token: "secret"},
	})
	defer xc.Close()
	for i := range 12 {
		var sum int
		if err := xc.Call(t.Context(), "Calc.Plus", Pair{i, i}, &sum); err != nil || sum != 2*i {
			t.Errorf("%d, %v", sum, err)
		}
	}
	var sum int
	if err := xc.Broadcast(t.Context(), "Calc.Plus", Pair{1, 2}, &sum); err != nil || sum != 3 {
		t.Errorf("%d, %v", sum, err)
	}
	err := xc.Broadcast(t.Context(), "Calc.Minus", Pair{1, 2}, &sum)
	if err == nil || !strings.Contains(err.Error(), "can't find method") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := xc.Call(ctx, "Calc.Plus", Pair{1, 2}, &sum); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
