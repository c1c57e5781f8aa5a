// The server after step 3: its methods take contexts, its errors have codes, and it ends
// in good order. Old clients can go on calling it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"geerpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

// Arith is the service.
type Arith struct{}

// Multiply is as it was: a method that is quick needs no context.
func (Arith) Multiply(args *Args, reply *int) error {
	*reply = args.A * args.B
	return nil
}

// Divide has an error with a code.
func (Arith) Divide(args *Args, reply *int) error {
	if args.B == 0 {
		return geerpc.Errorf(geerpc.CodeInvalidArgument, "divide by zero")
	}
	*reply = args.A / args.B
	return nil
}

// Slow stops when nobody waits for it any more.
func (Arith) Slow(ctx context.Context, args *Args, reply *int) error {
	select {
	case <-time.After(time.Duration(args.A) * time.Millisecond):
		return nil
	case <-ctx.Done():
		fmt.Println("Slow has stopped") // for the deadline, or for the end of the client's connection
		return ctx.Err()
	}
}

func main() {
	if err := geerpc.Register(Arith{}); err != nil {
		log.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lis.Addr())
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() { // until Shutdown
		if err := geerpc.DefaultServer.Serve(lis); !errors.Is(err, geerpc.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-interrupted.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := geerpc.DefaultServer.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("all calls are answered")
}
