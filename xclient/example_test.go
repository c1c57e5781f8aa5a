package xclient_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/registry"
	"geerpc/xclient"
)

// serve runs a server of Calc until stop is called.
func serve() (addr string, stop func() error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := geerpc.NewServer()
	if err := server.Register(new(Calc)); err != nil {
		log.Fatal(err)
	}
	go server.Accept(lis)
	return "tcp@" + lis.Addr().String(), server.Close
}

// Two servers are called in turn, and then both at once.
func Example() {
	a, stopA := serve()
	defer stopA()
	b, stopB := serve()
	defer stopB()

	d := xclient.NewMultiServerDiscovery([]string{a, b})
	xc := xclient.NewXClient(d, xclient.RoundRobinSelect, nil)
	defer xc.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var sum int
	for i := range 3 {
		if err := xc.Call(ctx, "Calc.Plus", Pair{i, 1}, &sum); err != nil {
			log.Fatal(err)
		}
		fmt.Println(sum)
	}
	if err := xc.Broadcast(ctx, "Calc.Plus", Pair{2, 2}, &sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println("both say", sum)
	// Output:
	// 1
	// 2
	// 3
	// both say 4
}

// One of two servers is not there. Calls go to the other one, and a method that
// may run more than once is called again if a connection breaks meanwhile.
func ExampleNew() {
	a, stop := serve()
	defer stop()
	dead, stopDead := serve()
	stopDead()

	d := xclient.NewMultiServerDiscovery([]string{a, dead})
	xc := xclient.New(d, xclient.Config{
		Balancer: xclient.LeastLoaded(),
		Timeout:  10 * time.Second,
		Retry:    xclient.Retry{MaxAttempts: 5},
	})
	defer xc.Close()

	ctx := xclient.Idempotent(context.Background())
	total := 0
	for i := range 10 {
		var sum int
		if err := xc.Call(ctx, "Calc.Plus", Pair{i, 1}, &sum); err != nil {
			log.Fatal(err)
		}
		total += sum
	}
	fmt.Println(total)
	// Output: 55
}

// A new version gets a tenth of the calls.
func ExampleConfig() {
	count := func(n *atomic.Int64) func(context.Context, string) (int, error) {
		return func(context.Context, string) (int, error) { return int(n.Add(1)), nil }
	}
	var older, newer atomic.Int64
	a, stop := offer(count(&older))
	defer stop()
	b, stop := offer(count(&newer))
	defer stop()

	d, err := xclient.NewEndpoints([]xclient.Endpoint{{Addr: a, Weight: 9}, {Addr: b, Weight: 1}})
	if err != nil {
		log.Fatal(err)
	}
	xc := xclient.New(d, xclient.Config{Balancer: xclient.Weighted()})
	defer xc.Close()
	for range 1000 {
		if err := xc.Call(context.Background(), "Stock.Count", "bolts", nil); err != nil {
			log.Fatal(err)
		}
	}
	share := newer.Load() / 10 // percent of the calls, which are drawn at random
	fmt.Println(older.Load()+newer.Load(), 3 < share && share < 20)
	// Output: 1000 true
}

// Servers register, and clients find them.
func ExampleNewGeeRegistryDiscovery() {
	r := httptest.NewServer(registry.New(time.Minute))
	defer r.Close()

	addr, stop := serve()
	defer stop()
	registration := registry.Heartbeat(r.URL, addr, 0)
	defer registration.Close()

	d := xclient.NewGeeRegistryDiscovery(r.URL, 0)
	defer d.Close()
	xc := xclient.NewXClient(d, xclient.RandomSelect, nil)
	defer xc.Close()
	var sum int
	if err := xc.Call(context.Background(), "Calc.Plus", Pair{1, 2}, &sum); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum)
	// Output: 3
}

// A static list may say more than addresses.
func ExampleNewEndpoints() {
	d, err := xclient.NewEndpoints([]xclient.Endpoint{
		{Addr: "tcp@10.0.0.1:9999", Weight: 3},
		{Addr: "tcp@10.0.0.2:9999", Services: []string{"Arith"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.GetAll())

	err = d.SetEndpoints([]xclient.Endpoint{{Addr: "10.0.0.3"}})
	fmt.Println(err)
	// Output:
	// [tcp@10.0.0.1:9999 tcp@10.0.0.2:9999] <nil>
	// rpc discovery: the address "10.0.0.3": want protocol@host:port, such as tcp@10.0.0.1:9999
}
