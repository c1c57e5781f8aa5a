// The server before the move: one of net/rpc.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"net/rpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

// Arith is the service.
type Arith struct{}

// Multiply multiplies.
func (Arith) Multiply(args *Args, reply *int) error {
	*reply = args.A * args.B
	return nil
}

// Divide divides, or fails.
func (Arith) Divide(args *Args, reply *int) error {
	if args.B == 0 {
		return errors.New("divide by zero")
	}
	*reply = args.A / args.B
	return nil
}

// Slow takes its time, and nobody can stop it.
func (Arith) Slow(args *Args, reply *int) error {
	time.Sleep(time.Duration(args.A) * time.Millisecond)
	return nil
}

func main() {
	if err := rpc.Register(Arith{}); err != nil {
		log.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lis.Addr())
	rpc.Accept(lis)
}
