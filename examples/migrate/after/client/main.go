// The client after step 3: its calls have deadlines, and it looks at codes. Its argument is
// the server's address.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"geerpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

func main() {
	client, err := geerpc.Dial("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	var product, quotient int
	if err := client.Call(ctx, "Arith.Multiply", Args{7, 8}, &product); err != nil {
		log.Fatal(err)
	}
	fmt.Println("7 * 8 =", product)

	err = client.Call(ctx, "Arith.Divide", Args{7, 0}, &quotient)
	fmt.Println("the server says:", err, "/", geerpc.CodeOf(err))

	err = client.Call(ctx, "Arith.Subtract", Args{7, 8}, &product)
	var e *geerpc.Error
	fmt.Println(geerpc.CodeOf(err), "/ has it run?", errors.As(err, &e) && e.Ran != geerpc.RanNever)

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	err = client.Call(short, "Arith.Slow", Args{A: 60_000}, nil)
	fmt.Println("out of time:", errors.Is(err, context.DeadlineExceeded))
}
