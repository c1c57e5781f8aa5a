// The client after step 2: it calls servers of net/rpc and of geerpc. Its argument is the
// server's address, with rpc@ or tcp@ in front.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"geerpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

func main() {
	client, err := geerpc.XDial(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.TODO()

	var product, quotient int
	if err := client.Call(ctx, "Arith.Multiply", Args{7, 8}, &product); err != nil {
		log.Fatal(err)
	}
	fmt.Println("7 * 8 =", product)

	call := client.Go("Arith.Divide", Args{7, 0}, &quotient, nil)
	<-call.Done
	var e *geerpc.Error
	if errors.As(call.Error, &e) && e.Where >= geerpc.InServer {
		fmt.Println("the server says:", call.Error)
	}

	fmt.Println(client.Call(ctx, "Arith.Subtract", Args{7, 8}, &product))
}
