package geerpc

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// A stuckConn is a connection whose Close does not end its Read, as that of
// os.Stdin. It is let go with the test.
type stuckConn struct {
	net.Conn
	free chan struct{}
}

// stuck returns a connection to which the other end has said what in has.
func stuck(t *testing.T, in string) net.Conn {
	near, far := net.Pipe()
	c := &stuckConn{Conn: near, free: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { io.WriteString(far, in) })
	wg.Go(func() { io.Copy(io.Discard, far) })
	t.Cleanup(func() { close(c.free); far.Close(); wg.Wait() })
	return c
}

func (c *stuckConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		<-c.free
	}
	return n, err
}

const plainWelcome = `{"OK":true,"Extended":true,"Kinds":["call","cancel","ping"]}` + "\n"

// TestD107_ConnectTimeoutOfStuckConn has the peer say nothing on a connection
// whose Read goes on when it has been closed: with a net.Conn of the user's, and
// from a Dialer, below TLS and HTTP too.
func TestD107_ConnectTimeoutOfStuckConn(t *testing.T) {
	dialers := map[string]func(t *testing.T, opt *Option) (*Client, error){
		"NewClient":     func(t *testing.T, opt *Option) (*Client, error) { return NewClient(stuck(t, ""), opt) },
		"NewHTTPClient": func(t *testing.T, opt *Option) (*Client, error) { return NewHTTPClient(stuck(t, ""), opt) },
	}
	for _, addr := range []string{"tcp@x", "tls@x", "http@x", "https@x"} {
		dialers[addr] = func(t *testing.T, opt *Option) (*Client, error) {
			opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return stuck(t, ""), nil }
			return XDial(addr, opt)
		}
	}
	dialers["Dialer that ignores its context"] = func(t *testing.T, opt *Option) (*Client, error) {
		end := make(chan struct{})
		t.Cleanup(func() { close(end) })
		opt.Dialer = func(context.Context, string, string) (net.Conn, error) {
			<-end
			near, far := net.Pipe()
			far.Close()
			return near, nil
		}
		return XDial("tcp@x", opt)
	}
	for name, dial := range dialers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				_, err := dial(t, &Option{ConnectTimeout: 10 * time.Second})
				if took := time.Since(start); took > 10*time.Second+closeGrace {
					t.Errorf("took %v", took)
				}
				wantError(t, err, CodeDeadlineExceeded, OnLink, RanNever)
				if !strings.Contains(err.Error(), "connect timeout") {
					t.Error(err)
				}
			})
		})
	}
}

// TestD107_EndsOfStuckConn ends clients in every way while their Read goes on:
// calls in flight are ended, and Close and Shutdown return.
func TestD107_EndsOfStuckConn(t *testing.T) {
	ends := map[string]struct {
		end   func(t *testing.T, c *Client)
		after time.Duration
	}{
		"Close": {func(t *testing.T, c *Client) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}, closeGrace},
		"Shutdown": {func(t *testing.T, c *Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if err := c.Shutdown(ctx); err != context.DeadlineExceeded {
				t.Error(err)
			}
		}, 3*time.Second + closeGrace},
		"silence": {func(t *testing.T, c *Client) {
			<-c.ended
		}, DefaultPingInterval + DefaultPingTimeout + closeGrace},
	}
	for name, how := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := NewClient(stuck(t, plainWelcome), &Option{CodecType: codec.GobType})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
				synctest.Wait()
				start := time.Now()
				how.end(t, c)
				if took := time.Since(start); took != how.after {
					t.Errorf("took %v, want %v", took, how.after)
				}
				wantError(t, <-ended, CodeUnavailable, OnLink, RanMaybe)
				if err := c.Call(t.Context(), "Arith.Add", Args{}, nil); !errors.Is(err, ErrShutdown) {
					t.Error(err)
				}
				c.Close()
			})
		})
	}
	t.Run("Shutdown without calls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := NewClient(stuck(t, plainWelcome), nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if err := c.Shutdown(t.Context()); err != nil || time.Since(start) != closeGrace {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
}

// A duplex joins two streams. Its Close closes the one that is written to.
type duplex struct {
	io.Reader
	io.WriteCloser
}

// pipes returns both ends of a connection that knows no deadlines.
func pipes() (near, far io.ReadWriteCloser) {
	nearIn, farOut := io.Pipe()
	farIn, nearOut := io.Pipe()
	return duplex{nearIn, nearOut}, duplex{farIn, farOut}
}

// TestD107_NewConn makes calls over a pair of pipes.
func TestD107_NewConn(t *testing.T) {
	near, far := pipes()
	server := NewServer()
	server.Register(new(Arith))
	served := make(chan struct{})
	go func() { defer close(served); server.ServeConn(far) }()
	client, err := NewClient(NewConn(near), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, client)
	var reply Reply
	if err := client.Call(t.Context(), "Arith.Div", Args{1, 0}, &reply); err == nil {
		t.Error("no error")
	}
	client.Close()
	<-served
	if _, err := NewClient(NewConn(nil), nil); err == nil {
		t.Error("no error without a connection")
	}
	tcp := new(net.TCPConn)
	if NewConn(tcp) != net.Conn(tcp) {
		t.Error("a net.Conn was wrapped")
	}
}

// TestD107_NewConnWithoutDeadlines has nobody read: the time limit of writing
// holds although the connection knows no deadlines.
func TestD107_NewConnWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipes()
		defer far.Close()
		start := time.Now()
		_, err := NewClient(NewConn(near), &Option{FlushTimeout: 3 * time.Second})
		if took := time.Since(start); took != 3*time.Second && took != 3*time.Second+closeGrace {
			t.Errorf("took %v", took)
		}
		if CodeOf(err) != CodeUnavailable || !strings.Contains(err.Error(), "did not read") {
			t.Error(err)
		}
	})
}

// pluginVariable has the test binary serve on its standard input and output.
const pluginVariable = "GEERPC_TEST_PLUGIN"

func init() {
	if os.Getenv(pluginVariable) == "" {
		return
	}
	server := NewServer()
	server.Register(new(Arith))
	server.ServeConn(duplex{os.Stdin, os.Stdout})
	os.Exit(0)
}

// TestD107_Plugin calls a child process through its standard input and output.
func TestD107_Plugin(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pluginVariable+"=1")
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
	client, err := NewClient(NewConn(duplex{bufio.NewReader(out), in}), &Option{ConnectTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		mustAdd(t, client)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error("the plugin: ", err)
	}
}
