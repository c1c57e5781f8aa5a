// The client before the move: one of net/rpc. Its argument is the server's address.
package main

import (
	"fmt"
	"log"
	"net/rpc"
	"os"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

func main() {
	client, err := rpc.Dial("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	var product, quotient int
	if err := client.Call("Arith.Multiply", Args{7, 8}, &product); err != nil {
		log.Fatal(err)
	}
	fmt.Println("7 * 8 =", product)

	call := client.Go("Arith.Divide", Args{7, 0}, &quotient, nil)
	<-call.Done
	if _, ok := call.Error.(rpc.ServerError); ok {
		fmt.Println("the server says:", call.Error)
	}

	fmt.Println(client.Call("Arith.Subtract", Args{7, 8}, &product))
}
