package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"geerpc"
	"geerpc/registry"
)

const (
	// beatInterval is short, so that something is to be seen: a server that
	// was killed is forgotten after three. The default is 10 seconds.
	beatInterval = time.Second

	// drainLimit is how long a server that is asked to leave may take to
	// answer the calls that it has got.
	drainLimit = 10 * time.Second
)

// runServer is the role of a server.
func runServer(args []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	name := flags.String("name", "", "`name` of the server")
	url := flags.String("registry", "", "`URL` of the registry")
	logName := flags.String("log", "", "`file` in which it writes the orders")
	verbose := flags.Bool("v", false, "log")
	flags.Parse(args)
	log, err := os.OpenFile(*logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	server := geerpc.NewServer()
	if err := server.Register(&Orders{name: *name, log: log}); err != nil {
		return err
	}
	return serve(server, registry.Config{
		Registries: []string{*url}, // two or three of them, where it matters
		Interval:   beatInterval,
		Metadata:   map[string]string{"name": *name},
		Logger:     logger(*name, *verbose),
	})
}

// serve serves until the process is asked to end. That is all it takes to be
// in a cluster: registry.Serve registers the server while it serves, and
// Shutdown deregisters it first of all, sends its clients elsewhere, and
// returns when the calls that had come already are answered.
func serve(server *geerpc.Server, c registry.Config) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	asked := untilAsked()
	drained := make(chan error, 1)
	go func() { // ends with Shutdown; waited for below
		<-asked.Done()
		ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
		defer cancel()
		drained <- server.Shutdown(ctx)
	}()
	fmt.Println(lis.Addr()) // and who started us goes on
	if err := registry.Serve(server, lis, c); !errors.Is(err, geerpc.ErrServerClosed) {
		return err
	}
	return <-drained
}

func logger(name string, verbose bool) *slog.Logger {
	var out io.Writer = os.Stderr
	if !verbose {
		out = io.Discard
	}
	return slog.New(slog.NewTextHandler(out, nil)).With("server", name)
}

// Orders is the service. Its methods reply with the name of the server.
type Orders struct {
	name string
	log  *os.File // a line for each order
}

// Price asks for a price. It may run any number of times.
func (o *Orders) Price(ctx context.Context, _ int, name *string) error {
	*name = o.name
	return work(ctx)
}

// Place places an order, which must not happen twice. A server that is killed
// in the middle has written it down or has not; its caller can't know.
func (o *Orders) Place(ctx context.Context, id int, name *string) error {
	if err := work(ctx); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(o.log, id); err != nil { // one write: the kernel has it, or not
		return err
	}
	*name = o.name
	return work(ctx)
}

// work takes 2 to 6 ms.
func work(ctx context.Context) error {
	timer := time.NewTimer(2*time.Millisecond + rand.N(4*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
