// Package migrate has the programs of docs/migrate.md, the guide from net/rpc to geerpc.
package migrate

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"geerpc/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// What the clients print, by whom they call.
const (
	old = "7 * 8 = 56\nthe server says: divide by zero\nrpc: can't find method Arith.Subtract\n"
	own = "7 * 8 = 56\nthe server says: divide by zero\nrpc server: can't find method Subtract of service Arith\n"
	mix = "7 * 8 = 56\nthe server says: divide by zero / unknown\nnot found / has it run? false\nout of time: true\n"
	all = "7 * 8 = 56\nthe server says: divide by zero / invalid argument\nnot found / has it run? false\nout of time: true\n"
)

// TestSteps runs each client of the guide against each server that it may meet.
func TestSteps(t *testing.T) {
	bin := build(t)
	for _, server := range []struct {
		name    string
		clients []step
		ends    string // what it prints behind its address
	}{
		{"before/server", []step{{"before/client", "", old}, {"client", "rpc@", old}}, ""},
		{"server", []step{{"before/client", "", old}, {"client", "rpc@", old}, {"client", "tcp@", own}, {"after/client", "", mix}}, ""},
		{"after/server", []step{{"before/client", "", old}, {"client", "rpc@", old}, {"client", "tcp@", own}, {"after/client", "", all}},
			"Slow has stopped\nall calls are answered\n"},
	} {
		t.Run(server.name, func(t *testing.T) {
			addr, stop := start(t, filepath.Join(bin, server.name))
			for _, c := range server.clients {
				if out := run(t, filepath.Join(bin, c.client), c.protocol+addr); out != c.prints {
					t.Errorf("%s %s prints\n%swant\n%s", c.client, c.protocol, out, c.prints)
				}
			}
			if rest := stop(); rest != server.ends {
				t.Errorf("the server prints %q, want %q", rest, server.ends)
			}
		})
	}
}

// A step is a client with the protocol in front of its server's address.
type step struct{ client, protocol, prints string }

// build builds the programs, and returns where they are.
func build(t *testing.T) (bin string) {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	bin = t.TempDir()
	for _, name := range []string{"before/server", "before/client", "server", "client", "after/server", "after/client"} {
		cmd := exec.CommandContext(t.Context(), goTool, "build", "-o", filepath.Join(bin, name), "./"+name)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return bin
}

// start starts a server and returns its address. Stop interrupts it, and returns what
// else it has printed.
func start(t *testing.T, program string) (addr string, stop func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), func() string {
		cmd.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(in)
		cmd.Wait()
		return string(rest)
	}
}

func run(t *testing.T, program, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, addr).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// TestOneImport holds what the guide says of step 1: but for its first comment, the
// server differs in one line.
func TestOneImport(t *testing.T) {
	before, after := source(t, "before/server/main.go"), source(t, "server/main.go")
	if want := bytes.Replace(before, []byte("\t\"net/rpc\"\n"), []byte("\trpc \"geerpc\"\n"), 1); !bytes.Equal(after, want) {
		t.Error("the servers differ in more than an import")
	}
}

// source returns a file without its first comment.
func source(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text[bytes.Index(text, []byte("package main")):]
}
