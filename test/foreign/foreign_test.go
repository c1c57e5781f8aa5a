// Package foreign has clients of others call a server: libraries of JSON-RPC for
// JavaScript, Python and Go. It is a module of its own, because they are no part of the
// standard library.
//
// They are installed by npm ci in this folder, as Debian's package
// python3-jsonrpclib-pelix, and by the go command.
package foreign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/leak"
)

const patient = 30 * time.Second

func TestMain(m *testing.M) { leak.Main(m) }

// Difference is the argument of subtract.
type Difference struct{ Minuend, Subtrahend int }

// Fraction is the argument of divide.
type Fraction struct{ Dividend, Divisor int }

// serve starts a server with the methods that clients/check.js and others call, and
// returns what note is called with.
func serve(t *testing.T, lis net.Listener) (notes chan string) {
	t.Helper()
	notes = make(chan string, 10)
	server := geerpc.NewServer()
	for _, err := range []error{
		geerpc.RegisterFunc(server, "subtract", func(_ context.Context, d Difference) (int, error) {
			return d.Minuend - d.Subtrahend, nil
		}),
		geerpc.RegisterFunc(server, "sum", func(_ context.Context, terms []int) (sum int, _ error) {
			for _, term := range terms {
				sum += term
			}
			return sum, nil
		}),
		geerpc.RegisterFunc(server, "divide", func(_ context.Context, f Fraction) (int, error) {
			if f.Divisor == 0 {
				return 0, errors.New("division by zero")
			}
			return f.Dividend / f.Divisor, nil
		}),
		geerpc.RegisterFunc(server, "find", func(_ context.Context, name string) (string, error) {
			return "", geerpc.Errorf(geerpc.CodeNotFound, "nobody is called %s", name)
		}),
		geerpc.RegisterFunc(server, "Text.Echo", func(_ context.Context, text string) (string, error) {
			return text, nil
		}),
		geerpc.RegisterFunc(server, "note", func(_ context.Context, text string) (string, error) {
			notes <- text
			return "", nil
		}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	go server.Serve(lis) // ends with Close
	t.Cleanup(func() { server.Close() })
	return notes
}

// listen returns a listener that serve closes.
func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// awaitNotes waits for what note is to be called with, in any order.
func awaitNotes(t *testing.T, notes chan string, want ...string) {
	t.Helper()
	var got []string
	for range want {
		select {
		case text := <-notes:
			got = append(got, text)
		case <-time.After(patient):
			t.Fatalf("note was called with %q, want %q", got, want)
		}
	}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) || len(notes) > 0 {
		t.Errorf("note was called with %q and %d others, want %q", got, len(notes), want)
	}
}

// clients are the programs in the folder of that name. They check what they get.
var clients = []struct {
	program    string
	transports []string
	batches    bool
}{
	{"jayson.js", []string{"tcp", "http"}, true},
	{"json-rpc-2.0.js", []string{"tcp", "http"}, true},
	{"vscode-jsonrpc.js", []string{"tcp"}, false},
	{"pelix.py", []string{"http"}, true},
}

func TestClients(t *testing.T) {
	for _, c := range clients {
		for _, transport := range c.transports {
			t.Run(c.program+" "+transport, func(t *testing.T) {
				lis := listen(t, "tcp", "127.0.0.1:0")
				notes := serve(t, lis)
				host, port, _ := net.SplitHostPort(lis.Addr().String())
				run(t, c.program, transport, host, port)
				want := []string{"noted"}
				if c.batches {
					want = append(want, "noted in a batch")
				}
				awaitNotes(t, notes, want...)
			})
		}
	}
}

// run runs a client, if what it needs is installed.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	interpreter := "node"
	if filepath.Ext(program) == ".py" {
		interpreter = pythonWithPelix(ctx, t)
	} else if _, err := os.Stat("node_modules"); err != nil {
		missing(t, fmt.Errorf("%w: run npm ci", err))
	}
	client := exec.CommandContext(ctx, interpreter, append([]string{filepath.Join("clients", program)}, args...)...)
	// Node also ends, and reports success, when nothing is left that it could wait for.
	if out, err := client.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Fatalf("%v\n%s", err, out)
	}
}

// pythonWithPelix returns a Python that has Debian's packages: another one may come first
// in the path.
func pythonWithPelix(ctx context.Context, t *testing.T) (python string) {
	t.Helper()
	var failed error
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		err := exec.CommandContext(ctx, python, "-c", "import jsonrpclib.jsonrpc").Run()
		if err == nil {
			return python
		}
		failed = cmp.Or(failed, err)
	}
	missing(t, fmt.Errorf("no jsonrpclib-pelix: %w", failed))
	return ""
}

// missing skips a test that needs what is not installed, but in CI it fails.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
