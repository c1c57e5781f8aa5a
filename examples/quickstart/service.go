package main

import (
	"context"
	"strings"
	"sync"

	"geerpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

// Arith is a service as net/rpc has it: any type with methods of the form
// func(args, *reply) error.
type Arith struct{}

// Multiply multiplies.
func (Arith) Multiply(args Args, product *int) error {
	*product = args.A * args.B
	return nil
}

// Divide divides. Its error carries a code, which reaches the caller.
func (Arith) Divide(args Args, quotient *int) error {
	if args.B == 0 {
		return geerpc.Errorf(geerpc.CodeInvalidArgument, "%d divided by 0", args.A)
	}
	*quotient = args.A / args.B
	return nil
}

// noMap is nil: somebody has forgotten to make it.
var noMap map[string]int

// Crash has a bug.
func (Arith) Crash(_ Args, _ *int) error {
	noMap["x"] = 1
	return nil
}

// A Desk is a service whose methods take a context, and their time.
type Desk struct {
	noticed chan error    // what a context said when it ended
	started chan struct{} // a method waits
	release chan struct{} // it need not wait any more
}

// NewDesk returns a Desk at which nobody waits.
func NewDesk() *Desk {
	return &Desk{make(chan error, 1), make(chan struct{}, 1), make(chan struct{})}
}

// Wait waits until its caller has gone.
func (d *Desk) Wait(ctx context.Context, _ string, _ *string) error {
	d.started <- struct{}{}
	<-ctx.Done()
	d.noticed <- ctx.Err()
	return ctx.Err()
}

// Finish takes no context, and waits until somebody releases it.
func (d *Desk) Finish(work string, done *string) error {
	d.started <- struct{}{}
	<-d.release
	*done = work + " is done"
	return nil
}

// Greet greets the user whom the call's metadata names.
func (*Desk) Greet(ctx context.Context, greeting string, reply *string) error {
	peer, _ := geerpc.PeerFrom(ctx)
	*reply = greeting + ", " + geerpc.MetadataFrom(ctx)["user"] + " from " + peer.Addr.Network()
	return geerpc.SetReplyMetadata(ctx, "served-by", "desk 1")
}

// upper is a method that is a function.
func upper(_ context.Context, text string) (string, error) {
	return strings.ToUpper(text), nil
}

// newServer returns a server that offers all of the above.
func newServer(desk *Desk, interceptor geerpc.Interceptor) (*geerpc.Server, error) {
	server := geerpc.NewServer()
	server.Interceptors = []geerpc.Interceptor{interceptor}
	if err := server.Register(Arith{}); err != nil {
		return nil, err
	}
	if err := server.Register(desk); err != nil {
		return nil, err
	}
	return server, geerpc.RegisterFunc(server, "Text.Upper", upper)
}

// A counter counts calls by their method.
type counter struct {
	mu    sync.Mutex // guards calls
	calls map[string]int
}

func newCounter() *counter { return &counter{calls: make(map[string]int)} }

// intercept is a geerpc.Interceptor. It would do on a client as well.
func (c *counter) intercept(next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		c.mu.Lock()
		c.calls[serviceMethod]++
		c.mu.Unlock()
		return next(ctx, serviceMethod, args, reply)
	}
}

func (c *counter) of(serviceMethod string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[serviceMethod]
}
