// Command geerpc runs the programs that servers and clients of geerpc may need.
//
//	geerpc registry    keeps the list of servers; see package registry
//
// Each command lists its flags with -h. The exit code is 0 on success, 1 on
// failure and 2 for wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// A command is named by the first argument.
type command struct {
	name, about string

	// run returns when ctx ends. Results are written to out, messages to log.
	run func(ctx context.Context, args []string, out, log io.Writer) error
}

var commands = []command{
	{"registry", "keep the list of servers that are alive, and tell it over HTTP or HTTPS", runRegistry},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage is the error of a command that was called wrongly, and that has said
// why in its log.
var errUsage = errors.New("called wrongly")

// run runs the command that args name, and returns the exit code.
func run(ctx context.Context, args []string, out, log io.Writer) int {
	if len(args) == 0 {
		usage(log)
		return 2
	}
	for _, c := range commands {
		if c.name == args[0] {
			return exitCode(c.run(ctx, args[1:], out, log), log)
		}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(out)
		return 0
	}
	fmt.Fprintf(log, "geerpc: there is no command %q\n\n", args[0])
	usage(log)
	return 2
}

func exitCode(err error, log io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintln(log, "geerpc:", err)
	return 1
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: geerpc <command> [flags]\n\ncommands:\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\ngeerpc <command> -h tells the flags of a command.\n")
}
