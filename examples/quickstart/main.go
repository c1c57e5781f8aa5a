// Command quickstart shows what geerpc does: one server, a client for every
// way to reach it, everything that may happen to a call, and a small cluster.
// Run it with
//
//	go run ./examples/quickstart
//
// It needs no network, no file and no argument. It exits with 1 if anything is
// not as it says.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"geerpc"
)

// tooLong ends a run in which something hangs.
const tooLong = 30 * time.Second

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// A tour is what its stops share.
type tour struct {
	out    io.Writer
	ctx    context.Context // limits the whole run
	desk   *Desk           // the service, to be looked at from behind
	count  *counter        // an interceptor of the server
	server *geerpc.Server
	places []place // where the server listens
}

// stops are the parts of the tour, in order.
var stops = []struct {
	title string
	file  string // that has it
	show  func(*tour) error
}{
	{"one server, five transports, three codecs: 6 x 7 is", "stops.go", (*tour).transports},
	{"calls without waiting: Client.Go", "stops.go", (*tour).async},
	{"contexts and time limits", "stops.go", (*tour).contexts},
	{"errors say what, where, and whether the method ran", "stops.go", (*tour).errors},
	{"a method that panics costs one call", "stops.go", (*tour).panics},
	{"typed methods: the compiler checks the types", "stops.go", (*tour).typed},
	{"metadata and the peer", "stops.go", (*tour).metadata},
	{"interceptors: one kind for both sides", "stops.go", (*tour).interceptors},
	{"an orderly shutdown", "stops.go", (*tour).shutdown},
	{"a cluster: a registry, and one of two servers leaves", "cluster.go", (*tour).cluster},
}

// run makes the tour and says on out what it sees. The error is the first
// thing that is not as it should be.
func run(out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	t := &tour{out: out, ctx: ctx, desk: NewDesk(), count: newCounter()}
	server, err := newServer(t.desk, t.count.intercept)
	if err != nil {
		return err
	}
	t.server = server
	defer server.Close()
	places, stop, err := listenEverywhere(server)
	if err != nil {
		return err
	}
	defer stop()
	t.places = places
	fmt.Fprintln(out, "The service that is called is in service.go; places.go has how to listen, and to dial.")
	for i, stop := range stops {
		fmt.Fprintf(out, "\n%d. %s (%s)\n", i+1, stop.title, stop.file)
		if err := stop.show(t); err != nil {
			return fmt.Errorf("%d. %s: %w", i+1, stop.title, err)
		}
	}
	fmt.Fprintln(out, "\nAll as expected.")
	return nil
}

// dial connects to the first place, TCP, with gob.
func (t *tour) dial() (*geerpc.Client, error) {
	return t.places[0].dial(t.ctx, geerpc.Option{})
}

// say prints one thing that was seen.
func (t *tour) say(what, format string, a ...any) {
	line := fmt.Sprintf("   %-22s %s", what, fmt.Sprintf(format, a...))
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
}
