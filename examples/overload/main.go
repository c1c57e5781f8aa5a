// Command overload shows what becomes of a service that is asked for twice as
// much as it can do: without protection, with a middleware.Concurrency, and with
// a middleware.Shed. Run it with
//
//	go run ./examples/overload
//
// It measures what a server can do, then has calls arrive at twice that rate,
// whatever becomes of them, as the users of a service do. Each has a deadline. It
// counts those that are answered within it, prints a table, and draws a picture,
// overload.svg.
//
// Without protection the server takes on every call. All of them wait for the same
// resource, longer and longer, so that after a moment each answer comes when its
// caller has left: the server is as busy as ever, and nobody gets anything. With
// protection half of the calls are refused at once, and the others are answered.
//
// The exit code is 0 only if that is what happened.
//
// service.go is the server, load.go are its callers, report.go adds up.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"geerpc"
	"geerpc/middleware"
)

func main() {
	seconds := flag.Float64("seconds", 6, "how long each kind of protection is under load")
	picture := flag.String("svg", "overload.svg", "where to draw the picture; empty: nowhere")
	flag.Parse()
	if err := run(os.Stdout, time.Duration(*seconds*float64(time.Second)), *picture); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

// A protection is what stands before the method.
type protection struct {
	name, colour string
	intercept    geerpc.Interceptor // nil: nothing
}

func protections() []protection {
	concurrency := &middleware.Concurrency{}
	shed := &middleware.Shed{Concurrency: &middleware.Concurrency{}}
	return []protection{
		{"nothing", "#c0392b", nil},
		{"Concurrency", "#1b6ac9", concurrency.Intercept},
		{"Shed", "#1e8449", shed.Intercept},
	}
}

func run(out io.Writer, length time.Duration, picture string) error {
	capacity, err := measureCapacity(min(length/2, time.Second))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The server can do %.0f calls/s. Now %.0f arrive, each with a deadline of %v.\n", capacity, 2*capacity, deadline)
	r := report{capacity: capacity, length: length}
	for _, p := range protections() {
		fmt.Fprintf(out, "\nProtected by %s:\n", p.name)
		o, err := overload(p, 2*capacity, length, out)
		if err != nil {
			return err
		}
		r.outcomes = append(r.outcomes, o)
	}
	fmt.Fprintf(out, "\n%s", r.table())
	if picture != "" {
		if err := os.WriteFile(picture, r.chart(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(out, "\nThe picture is in %s.\n", picture)
	}
	return r.check()
}
