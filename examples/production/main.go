// Command production is a server and a client with what a service needs on its first
// day in production: TLS on both sides, a token, a rate limit, a circuit breaker,
// traces, metrics on a port of their own, structured logs, and an end that loses no
// call. Copy server.go and client.go, which are less than 120 lines, and put your
// service in Kitchen's place; spans.go is for those who have no tracing system yet.
//
// To see each of these at work:
//
//	go run ./examples/production demo
//
// To try it by hand:
//
//	export TOKEN=secret
//	go run ./examples/production certs certs    # a folder, with a throw-away authority's
//	go run ./examples/production server -dir certs -addr 127.0.0.1:9999
//	go run ./examples/production client -dir certs -addr 127.0.0.1:9999
//
// The server logs its addresses. The exit code is 1 if something fails; demo fails if
// anything is not as it says.
//
// certs.go makes the certificates; demo.go and the files named demo_... are the demo.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"geerpc/middleware"
)

// commands are what the first argument may be.
var commands = map[string]func(args []string) error{
	"server": runServer,
	"client": runClient,
	"certs":  runCerts,
	"demo":   runDemo,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: production demo | certs FOLDER | server [flags] | client [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		slog.Error("production "+os.Args[1], "err", err)
		os.Exit(1)
	}
}

// runServer is the command server.
func runServer(args []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:0", "serve at this `address`")
	operators := flags.String("operators", "127.0.0.1:0", "show /metrics and /debug/geerpc at this `address`")
	dir := flags.String("dir", "certs", "the `folder` with ca.pem, server.pem and server.key")
	drain := flags.Duration("drain", 20*time.Second, "how long calls may take to finish after SIGTERM")
	flags.Parse(args)
	return serve(*addr, *operators, *dir, *drain, newLog())
}

// runClient is the command client, which makes one call.
func runClient(args []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	addr := flags.String("addr", "", "the server's `address`")
	dir := flags.String("dir", "certs", "the `folder` with ca.pem, client.pem and client.key")
	takes := flags.Duration("takes", 10*time.Millisecond, "how long the dish is cooked")
	flags.Parse(args)
	client, err := newClient(*addr, *dir, os.Getenv("TOKEN"), new(middleware.Metrics), newLog())
	if err != nil {
		return err
	}
	defer client.Close()
	var dish string
	if err := client.Call(context.Background(), "Kitchen.Cook", *takes, &dish); err != nil {
		return err
	}
	fmt.Println(dish)
	return nil
}

// newLog returns the structured log of a process.
func newLog() *slog.Logger {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	slog.SetDefault(log) // what others write belongs to it too
	return log
}
