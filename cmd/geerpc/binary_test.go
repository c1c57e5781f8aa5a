package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/leak"
	"geerpc/internal/rpctest"
	"geerpc/registry"
)

// binary is the path of the program under test.
var binary string

// TestMain builds the program, and fails the package if goroutines are left behind.
func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "geerpc")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "geerpc")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return leak.Run(m)
}

// An outcome is what a run of the program has left.
type outcome struct {
	out, log string
	exit     int
}

// geerpcRun runs the program with an empty input.
func geerpcRun(t *testing.T, args ...string) outcome {
	t.Helper()
	return geerpcInput(t, "", args...)
}

func geerpcInput(t *testing.T, in string, args ...string) outcome {
	t.Helper()
	cmd := process(t, args...)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &log
	err := cmd.Run()
	if exited := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return outcome{out.String(), log.String(), cmd.ProcessState.ExitCode()}
}

// process returns the program as a process that is not started yet. It is killed after a
// minute, so that a test can't hang that reads from it.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, binary, args...)
}

// want checks the exit code, and that the output and the log have a text in them.
func (o outcome) want(t *testing.T, exit int, out, log string) {
	t.Helper()
	if o.exit != exit || !strings.Contains(o.out, out) || !strings.Contains(o.log, log) {
		t.Errorf("exit code %d, want %d; output, with %q:\n%s\nlog, with %q:\n%s", o.exit, exit, out, o.out, log, o.log)
	}
}

// decode decodes the output, which must be one value in JSON.
func (o outcome) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(o.out), v); err != nil {
		t.Fatalf("%v in:\n%s\nlog:\n%s", err, o.out, o.log)
	}
}

// Args are the arguments of Arith.
type Args struct{ A, B int }

// Quotient is a reply.
type Quotient struct{ Quo, Rem int }

// Arith is the service of the tests.
type Arith struct{}

// Add adds. Its reply has metadata: what came with the call as "tenant".
func (Arith) Add(ctx context.Context, args Args, sum *int) error {
	*sum = args.A + args.B
	return geerpc.SetReplyMetadata(ctx, "from", "server of "+geerpc.MetadataFrom(ctx)["tenant"])
}

// Div fails if B is zero.
func (Arith) Div(args *Args, reply *Quotient) error {
	if args.B == 0 {
		return errors.New("division by zero")
	}
	*reply = Quotient{args.A / args.B, args.A % args.B}
	return nil
}

// Neg returns -n.
func (Arith) Neg(n int, reply *int) error {
	*reply = -n
	return nil
}

// Wait waits for its context to end.
func (Arith) Wait(ctx context.Context, _ Args, _ *Args) error {
	<-ctx.Done()
	return ctx.Err()
}

// Broken can't be called.
func (Arith) Broken(int) {}

// serve serves an Arith, and returns its address. The server may be nil.
func serve(t *testing.T, s *geerpc.Server, config *tls.Config) string {
	t.Helper()
	if s == nil {
		s = geerpc.NewServer()
	}
	if err := s.Register(Arith{}); err != nil {
		t.Fatal(err)
	}
	lis := listenTCP(t)
	if config != nil {
		lis = tls.NewListener(lis, config)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }() // ends with Close
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return lis.Addr().String()
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// serveTLS is serve over TLS, with a file of the authority.
func serveTLS(t *testing.T, s *geerpc.Server) (addr, caFile string) {
	t.Helper()
	cert, _ := rpctest.Certificate(t, "geerpc.test", time.Hour)
	caFile = written(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	return serve(t, s, &tls.Config{Certificates: []tls.Certificate{cert}}), caFile
}

// serveRegistered is serve for a server that a registry lists.
func serveRegistered(t *testing.T, url string, metadata map[string]string) string {
	t.Helper()
	s := geerpc.NewServer()
	addr := serve(t, s, nil)
	reg := registry.Register(registry.Config{Registries: []string{url}, Addr: "tcp@" + addr, Services: s.Services(), Metadata: metadata})
	if err := reg.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return addr
}

// nobody returns an address at which nobody listens.
func nobody(t *testing.T) string {
	lis := listenTCP(t)
	defer lis.Close()
	return lis.Addr().String()
}
