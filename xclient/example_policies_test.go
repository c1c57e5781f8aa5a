package xclient_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/xclient"
)

// offer runs a server of one method, Stock.Count, until stop is called.
func offer(count func(ctx context.Context, item string) (int, error)) (addr string, stop func() error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := geerpc.NewServer()
	if err := geerpc.RegisterFunc(server, "Stock.Count", count); err != nil {
		log.Fatal(err)
	}
	go server.Accept(lis) // ends with stop
	return "tcp@" + lis.Addr().String(), server.Close
}

// Reading may be repeated, so a server that is busy for a moment is no reason
// to fail. Policies work on a single connection too.
func ExampleRetry() {
	var attempts atomic.Int64
	addr, stop := offer(func(context.Context, string) (int, error) {
		if attempts.Add(1) < 3 {
			return 0, geerpc.Errorf(geerpc.CodeUnavailable, "the database is restarting")
		}
		return 42, nil
	})
	defer stop()

	retry := xclient.Retry{Backoff: 5 * time.Millisecond}
	client, err := geerpc.XDial(addr, &geerpc.Option{Interceptors: []geerpc.Interceptor{retry.Intercept}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	var count int
	if err := client.Call(context.Background(), "Stock.Count", "bolts", &count); err != nil {
		fmt.Println(err)
	}
	attempts.Store(0)
	ctx := xclient.Idempotent(context.Background())
	if err := client.Call(ctx, "Stock.Count", "bolts", &count); err != nil {
		log.Fatal(err)
	}
	fmt.Println(count, "bolts, attempt", attempts.Load())
	// Output:
	// the database is restarting
	// 42 bolts, attempt 3
}

// The first attempt hangs. After a while another one is made, which answers.
func ExampleHedge() {
	var attempts atomic.Int64
	cancelled := make(chan struct{})
	addr, stop := offer(func(ctx context.Context, _ string) (int, error) {
		if attempts.Add(1) == 1 {
			<-ctx.Done()
			close(cancelled)
			return 0, ctx.Err()
		}
		return 42, nil
	})
	defer stop()

	hedge := xclient.Hedge{Delay: 5 * time.Millisecond}
	client, err := geerpc.XDial(addr, &geerpc.Option{Interceptors: []geerpc.Interceptor{hedge.Intercept}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	var count int
	ctx := xclient.Idempotent(context.Background())
	if err := client.Call(ctx, "Stock.Count", "bolts", &count); err != nil {
		log.Fatal(err)
	}
	fmt.Println(count, "bolts")
	<-cancelled
	fmt.Println("the other attempt was cancelled")
	// Output:
	// 42 bolts
	// the other attempt was cancelled
}

// Three warehouses are asked at once; one has bolts, one has none, and one is
// not in the mood to answer.
func ExampleXClient_Fork() {
	slow, stop := offer(func(ctx context.Context, _ string) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	defer stop()
	empty, stop := offer(func(context.Context, string) (int, error) {
		return 0, geerpc.Errorf(geerpc.CodeNotFound, "no bolts here")
	})
	defer stop()
	full, stop := offer(func(context.Context, string) (int, error) { return 42, nil })
	defer stop()

	xc := xclient.NewXClient(xclient.NewMultiServerDiscovery([]string{slow, empty, full}), xclient.RandomSelect, nil)
	defer xc.Close()
	var count int
	if err := xc.Fork(context.Background(), "Stock.Count", "bolts", &count); err != nil {
		log.Fatal(err)
	}
	fmt.Println(count, "bolts")
	// Output: 42 bolts
}
