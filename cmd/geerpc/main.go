// Command geerpc talks to servers of geerpc: it lists and describes their methods, calls
// them, and measures them. It also runs a registry.
//
//	geerpc list 127.0.0.1:7001
//	geerpc call 127.0.0.1:7001 Arith.Add '{"A":1,"B":2}'
//
// geerpc help lists the commands and the exit codes; geerpc help COMMAND lists the flags
// of one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// A stdio has a command's input, and the writers for its results and messages.
type stdio struct {
	in       io.Reader
	out, log io.Writer
}

// A command is named by the first argument.
type command struct {
	name, args, about string
	help              string // further lines
	min, max          int    // number of arguments, without flags

	// define defines the flags, and returns the action to run when they are set. An
	// action returns when ctx ends.
	define func(set *flag.FlagSet) action
}

type action func(ctx context.Context, std stdio, args []string) error

// commands is set by init because two of the commands, help and completion, list all.
var commands []*command

func init() {
	commands = []*command{
		listCommand, describeCommand, callCommand, watchCommand, benchCommand,
		serversCommand, registryCommand, versionCommand, completionCommand, helpCommand,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run runs the command that args name, and returns the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	if len(args) == 0 {
		usage(std.log)
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "-h" || name == "-help" || name == "--help" {
		name = helpCommand.name
	}
	c := findCommand(name)
	if c == nil {
		fmt.Fprintf(std.log, "geerpc: there is no command %q%s\ngeerpc help lists the commands.\n", name, didYouMean(name, commandNames()))
		return exitUsage
	}
	std.out, std.log = printableWriter{std.out}, printableWriter{std.log}
	set := c.flagSet()
	do := c.define(set)
	args, err := c.parse(set, args)
	if err == flag.ErrHelp {
		c.usage(std.out)
		return exitOK
	}
	if err == nil {
		err = do(ctx, std, args)
	}
	return c.report(std.log, err, isSet(set, "json"))
}

func findCommand(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func commandNames() (names []string) {
	for _, c := range commands {
		names = append(names, c.name)
	}
	return names
}

var helpCommand = &command{name: "help", args: "[COMMAND]", about: "explain the commands, or one with its flags", max: 1, define: defineHelp}

func defineHelp(*flag.FlagSet) action {
	return func(_ context.Context, std stdio, args []string) error {
		if len(args) == 0 {
			usage(std.out)
			return nil
		}
		c := findCommand(args[0])
		if c == nil {
			return usagef("there is no command %q%s", args[0], didYouMean(args[0], commandNames()))
		}
		c.usage(std.out)
		return nil
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: geerpc COMMAND [ARGUMENTS] [FLAGS]\n\ncommands:\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, `
geerpc help COMMAND has the arguments and flags of one. ADDR is one of

  host:port               a server
  protocol@address        a server: tcp@, tls@, http@, https@, unix@ or jsonrpc@
  http://host:port/path   a registry, https too; several are separated by commas

exit codes:
`)
	for _, e := range exitCodes {
		fmt.Fprintf(w, "  %d  %s\n", e.code, e.meaning)
	}
}

// usage explains a command.
func (c *command) usage(w io.Writer) {
	fmt.Fprintf(w, "usage: %s\n\n%s.\n", c.synopsis(), strings.ToUpper(c.about[:1])+c.about[1:])
	if c.help != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.help))
	}
	set := c.flagSet()
	c.define(set)
	if len(flagsOf(set)) > 0 {
		fmt.Fprint(w, "\nflags, which may stand before or after the arguments:\n")
		set.SetOutput(w)
		set.PrintDefaults()
	}
}

func (c *command) synopsis() string {
	text := "geerpc " + c.name
	if c.args != "" {
		text += " " + c.args
	}
	return text
}
