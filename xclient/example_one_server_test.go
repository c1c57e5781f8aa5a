package xclient_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"geerpc"
	"geerpc/xclient"
)

// A client of one server that connects again when the server has been restarted: a
// geerpc.Client never does.
func ExampleXClient_oneServer() {
	start := func(addr string) (string, *geerpc.Server) {
		lis, err := net.Listen("tcp", addr)
		if err != nil {
			log.Fatal(err)
		}
		server := geerpc.NewServer()
		if err := server.Register(new(Calc)); err != nil {
			log.Fatal(err)
		}
		go server.Serve(lis)
		return lis.Addr().String(), server
	}
	addr, server := start("127.0.0.1:0")
	client := xclient.New(xclient.NewMultiServerDiscovery([]string{"tcp@" + addr}), xclient.Config{})
	defer client.Close()

	var sum int
	ctx := context.Background()
	fmt.Println(client.Call(ctx, "Calc.Plus", Pair{1, 2}, &sum), sum)
	server.Shutdown(ctx)
	_, server = start(addr)
	defer server.Close()
	fmt.Println(client.Call(ctx, "Calc.Plus", Pair{3, 4}, &sum), sum)
	// Output:
	// <nil> 3
	// <nil> 7
}
