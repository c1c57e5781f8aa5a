package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"geerpc"
	"geerpc/middleware"
	"geerpc/xclient"
)

// tooLong ends a run in which something hangs.
const tooLong = 60 * time.Second

// runDemo is the command demo.
func runDemo(args []string) error {
	if len(args) > 0 {
		return errors.New("there are no arguments")
	}
	return show(os.Stdout)
}

// A demo is what its parts share.
type demo struct {
	ctx       context.Context // limits the whole run
	out       io.Writer
	dir       string // with the certificates
	authority *authority
	token     string
	server    *process
}

// parts are what is to be seen, in order.
var parts = []struct {
	title string
	show  func(*demo) error
}{
	{"a client and a server, two processes", (*demo).processes},
	{"TLS on both sides: each wants a certificate of the other", (*demo).tls},
	{"a certificate is renewed while the server runs", (*demo).renewal},
	{"calls need a token", (*demo).tokens},
	{"traces: one id in the spans and the logs of both sides", (*demo).traces},
	{"metrics on a port of their own", (*demo).metrics},
	{"a circuit breaker in the client, and a method that hangs", (*demo).breaker},
	{"a rate limit for each caller", (*demo).rateLimit},
	{"SIGTERM in the middle of a call", (*demo).sigterm},
	{"SIGTERM, and a call that does not end", (*demo).cutOff},
}

// show shows all parts, and says on out what it sees. The error is the first thing that
// is not as it should be.
func show(out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	temp, err := os.MkdirTemp("", "production")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	d := &demo{ctx: ctx, out: out, dir: filepath.Join(temp, "certs"), token: rand.Text()}
	if d.authority, err = newCerts(d.dir); err != nil {
		return err
	}
	if d.server, err = startServer(ctx, d.dir, d.token); err != nil {
		return err
	}
	defer func() {
		cancel() // kills the server
		<-d.server.exited
	}()
	fmt.Fprintln(out, "The server is in server.go, the client in client.go.")
	for i, part := range parts {
		fmt.Fprintf(out, "\n%d. %s\n", i+1, part.title)
		if err := part.show(d); err != nil {
			return fmt.Errorf("%d. %s: %w", i+1, part.title, err)
		}
	}
	fmt.Fprintln(out, "\nAll as expected.")
	return nil
}

// width is that of a line.
const width = 110

// say prints one thing that was seen.
func (d *demo) say(what, format string, a ...any) {
	line := fmt.Sprintf("   %-20s %s", what, fmt.Sprintf(format, a...))
	if len(line) > width {
		line = line[:width-3] + "..."
	}
	fmt.Fprintln(d.out, line)
}

// client returns a client of the server, and what it logs.
func (d *demo) client(dir, token string) (*xclient.XClient, *logbook, error) {
	log := newLogbook()
	client, err := newClient(d.server.addr, dir, token, new(middleware.Metrics), slog.New(slog.NewJSONHandler(log, nil)))
	return client, log, err
}

// cook makes a call.
func (d *demo) cook(client geerpc.Caller, takes time.Duration) error {
	ctx, cancel := context.WithTimeout(d.ctx, takes+15*time.Second)
	defer cancel()
	var dish string
	err := client.Call(ctx, "Kitchen.Cook", takes, &dish)
	if err == nil && dish != "soup" {
		err = fmt.Errorf("the dish is %q", dish)
	}
	return err
}

// cookOnce makes a call with a client of its own.
func (d *demo) cookOnce(dir, token string) error {
	client, _, err := d.client(dir, token)
	if err != nil {
		return err
	}
	defer client.Close()
	return d.cook(client, 0)
}

// sayRefused prints an error that should have this code, and say why.
func (d *demo) sayRefused(what string, err error, code geerpc.Code, why string) error {
	if geerpc.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), why) {
		return fmt.Errorf("%s: the error is %v, and should be %v and say %q", what, err, code, why)
	}
	d.say(what, "%v: %v", code, err)
	return nil
}
