//go:build unix

package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"geerpc"
)

// stoppedEnv tells a test process to be one end of TestD129_StoppedProcess:
// "server" or the address that a client is to dial.
const stoppedEnv = "GEERPC_TEST_STOPPED"

// How patient both sides are in that test. The process is stopped for far
// longer, in which everything it waits for times out.
const (
	stoppedPing = 200 * time.Millisecond
	stoppedRead = 1200 * time.Millisecond
	stoppedFor  = 2500 * time.Millisecond
)

// serveStopped is the server process of TestD129_StoppedProcess.
func serveStopped() {
	s := geerpc.NewServer()
	s.Register(new(Arith))
	s.ReadTimeout = stoppedRead
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(lis.Addr())
	s.Serve(lis)
}

// callStopped is the client process: it says when it is ready, calls once for
// each line that it reads, and says how that went.
func callStopped(addr string) {
	client, err := geerpc.Dial("tcp", addr, &geerpc.Option{PingInterval: stoppedPing, PingTimeout: stoppedPing})
	fmt.Println("dialled:", err)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println("called:", client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)))
	}
}

// init makes this test binary one of the two processes, if it is to be that.
func init() {
	switch role := os.Getenv(stoppedEnv); role {
	case "":
		return
	case "server":
		serveStopped()
	default:
		callStopped(role)
	}
	os.Exit(0)
}

// helperProcess runs this test binary in a role, and returns what it prints,
// line by line.
func helperProcess(t *testing.T, role string) (cmd *exec.Cmd, say func(), hear func() string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stoppedEnv+"="+role)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	hear = func() string {
		if !lines.Scan() {
			t.Error("the process said nothing more: ", lines.Err())
		}
		return lines.Text()
	}
	return cmd, func() { fmt.Fprintln(in) }, hear
}

// sleepProcess stops a process for a while.
func sleepProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	<-time.After(stoppedFor) // the process that is stopped has real clocks
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// A process that was stopped and goes on finds its timers late, and what its
// peer said meanwhile unread. It must not close healthy connections, on either
// side. (The other side is patient here: it could not know better.)
func TestD129_StoppedProcess(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		cmd, _, hear := helperProcess(t, "server")
		client, err := geerpc.Dial("tcp", hear(), &geerpc.Option{PingInterval: stoppedPing, PingTimeout: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for range 2 {
			sleepProcess(t, cmd)
			if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * stoppedRead) // in the other process, too
		}
		if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
			t.Error(err)
		}
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		e := newEnv(t, "tcp", "")
		e.ReadTimeout = time.Hour
		e.start()
		cmd, say, hear := helperProcess(t, e.lis.Addr().String())
		if got := hear(); got != "dialled: <nil>" {
			t.Fatal(got)
		}
		for range 2 {
			sleepProcess(t, cmd)
			say()
			if got := hear(); got != "called: <nil>" {
				t.Fatal(got)
			}
			<-time.After(3 * stoppedPing) // in the other process, too
		}
	})
}
