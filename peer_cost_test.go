package geerpc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/gob"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
)

// TestA12_PeerThatNeverReads calls, within 100 ms each, on a connection whose
// other end has stopped reading, with arguments that fill every buffer. The
// calls return in time, small ones too, and other connections don't notice.
func TestA12_PeerThatNeverReads(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "tls", "pipe"} {
		for _, c := range codecs {
			t.Run(transport+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, transport, c)
				good := e.dial(nil)
				client := dialDeaf(t, transport, c)
				var wg sync.WaitGroup
				var unsent atomic.Int64
				large := strings.Repeat("x", 3<<20)
				for i := range 12 {
					wg.Go(func() {
						var args any = large
						if i%3 == 0 {
							args = Args{1, 2}
						}
						ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
						defer cancel()
						start := time.Now()
						err := client.Call(ctx, "Arith.Add", args, nil)
						if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > patient/2 {
							t.Errorf("call %d returned after %v: %v", i, took, err)
						}
						var typed *Error
						if errors.As(err, &typed) && typed.Ran == RanNever {
							unsent.Add(1)
						}
					})
				}
				for range 20 {
					mustAdd(t, good)
				}
				wg.Wait()
				if unsent.Load() == 0 {
					t.Error("no call waited for room: what waits for the peer is not bounded")
				}
				start := time.Now()
				client.Close()
				if took := time.Since(start); took > patient/2 {
					t.Errorf("Close took %v", took)
				}
			})
		}
	}
}

// dialDeaf returns a client whose server stops reading behind the handshake.
func dialDeaf(t *testing.T, transport string, c codec.Type) *Client {
	t.Helper()
	opt := &Option{CodecType: c, ConnectTimeout: patient}
	var lis net.Listener
	if transport == "pipe" {
		pipe := NewPipeListener()
		lis, opt.Dialer = pipe, pipe.DialContext
	} else {
		var err error
		if lis, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	if transport == "tls" {
		cert, pool := certificate(t, "localhost", time.Hour)
		lis = tls.NewListener(lis, &tls.Config{Certificates: []tls.Certificate{cert}})
		opt.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	}
	serveDouble(t, lis, func(conn net.Conn) {
		welcome(t, conn)
		<-t.Context().Done()
	})
	client, err := Dial(lis.Addr().Network(), lis.Addr().String(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// slowCalls is how many calls A34 has one connection make.
const slowCalls = 20_000

// A Crowd is a service whose calls wait until so many run that no more can.
type Crowd struct {
	running, most, total atomic.Int64
	gate                 chan struct{}
}

// Join waits for the gate to open.
func (c *Crowd) Join(n int, reply *int) error {
	now := c.running.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	<-c.gate
	c.running.Add(-1)
	c.total.Add(1)
	*reply = n
	return nil
}

// crowd registers a Crowd, and opens its gate when the server is full.
func (e *env) crowd(full int64) *Crowd {
	c := &Crowd{gate: make(chan struct{})}
	if err := e.Register(c); err != nil {
		e.t.Fatal(err)
	}
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		eventually(e.t, "the server is full", func() bool { return c.running.Load() == full })
		close(c.gate)
	}()
	e.t.Cleanup(func() {
		<-opened
		if most, total := c.most.Load(), c.total.Load(); most > full || total != slowCalls {
			e.t.Errorf("%d calls ran at once, allowed are %d; %d of %d ran", most, full, total, slowCalls)
		}
	})
	return c
}

// TestA34_ManySlowCalls makes 20,000 calls on one connection that all wait. The
// goroutines stay within the limit, and every call is answered.
func TestA34_ManySlowCalls(t *testing.T) {
	t.Run("old client", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.GobType)
		e.crowd(DefaultMaxInFlight)
		conn := e.unsaid()
		conn.SetDeadline(time.Now().Add(time.Minute))
		var wg sync.WaitGroup
		wg.Go(func() {
			out := bufio.NewWriter(conn)
			out.Write(optionLine(t))
			enc := gob.NewEncoder(out)
			for i := range slowCalls {
				enc.Encode(oldHeader{ServiceMethod: "Crowd.Join", Seq: uint64(i)})
				enc.Encode(i)
			}
			if err := out.Flush(); err != nil {
				t.Error(err)
			}
		})
		dec := gob.NewDecoder(bufio.NewReader(conn))
		seen := make([]bool, slowCalls)
		for range slowCalls {
			var h oldHeader
			var n int
			if err := errors.Join(dec.Decode(&h), dec.Decode(&n)); err != nil || h.Error != "" || seen[n] || uint64(n) != h.Seq {
				t.Fatalf("reply %+v, %d, %v", h, n, err)
			}
			seen[n] = true
		}
		wg.Wait()
	})
	t.Run("our client", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.GobType)
		e.crowd(DefaultMaxInFlight)
		client := e.dial(nil)
		done := make(chan *Call, slowCalls)
		replies := make([]int, slowCalls)
		for i := range slowCalls {
			client.Go("Crowd.Join", i, &replies[i], done)
		}
		for range slowCalls {
			if call := <-done; call.Error != nil {
				t.Fatal(call.Error)
			}
		}
		for i, n := range replies {
			if n != i {
				t.Fatalf("reply %d is %d", i, n)
			}
		}
	})
}

// TestA7_SilentConnectionsAreSmall counts what a connection costs on which
// nothing has been said.
func TestA7_SilentConnectionsAreSmall(t *testing.T) {
	const n, most = 500, 6 << 10
	e := newEnv(t, "pipe", codec.GobType)
	e.start()
	before := heapInUse()
	for range n {
		near, far := net.Pipe()
		defer near.Close()
		go e.ServeConn(far) // ends with near
	}
	eventually(t, "all are served", func() bool {
		return len(e.conns.Status().Conns) == n
	})
	if each := (heapInUse() - before) / n; each > most {
		t.Errorf("a silent connection holds %d bytes, allowed are %d", each, most)
	}
}

// TestB8_FalseLengths claims 4 GiB on 256 connections: refused before anything
// is allocated. And it claims as much as is allowed, and does not send it.
func TestB8_FalseLengths(t *testing.T) {
	const n, most = 256, 64 << 10
	cases := []struct {
		name   string
		old    bool // the old wire
		claim  string
		closed bool
	}{
		{"framed, 4 GiB", false, "\xff\xff\xff\xff", true},
		{"framed, one byte over the limit", false, "\x00\x40\x00\x01", true},
		{"framed, the limit", false, "\x00\x40\x00\x00\x00\x00", false},
		{"gob, 4 GiB", true, "\xfb\x01\x00\x00\x00\x00\x04", true},
		{"gob, 2^63", true, "\xf8\x80\x00\x00\x00\x00\x00\x00\x00\x04", true},
		{"gob, nearly the limit", true, "\xfd\x3f\xff\x00\x04", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.start()
			before := heapInUse()
			var conns []net.Conn
			for range n {
				var conn net.Conn
				if c.old {
					conn = e.unsaid()
					conn.Write(bytes.TrimSpace(optionLine(t)))
				} else {
					conn = e.handshake(nil).Conn
				}
				io.WriteString(conn, c.claim)
				conns = append(conns, conn)
			}
			if c.closed {
				for _, conn := range conns {
					expectClosed(t, conn)
				}
				e.idle()
			}
			if each := (heapInUse() - before) / n; each > most {
				t.Errorf("a false length costs %d bytes", each)
			}
		})
	}
}

// Blob is a service of large arguments and replies.
type Blob struct{}

// Take returns the length of its argument.
func (Blob) Take(s string, n *int) error { *n = len(s); return nil }

// Give returns a text of that length.
func (Blob) Give(n int, s *string) error { *s = strings.Repeat("x", n); return nil }

// TestB9_OneByteOver sends and asks for texts of every length around the limit.
// Up to some length all is well; from there on each call fails with a typed
// error that says whether it ran, and the next one works.
func TestB9_OneByteOver(t *testing.T) {
	const limit, around = 4096, 120
	each(t, func(t *testing.T, e *env) {
		e.MaxMessageBytes = limit
		if err := e.Register(Blob{}); err != nil {
			t.Fatal(err)
		}
		client := e.dial(&Option{MaxMessageBytes: limit})
		// sweep returns the greatest length that worked.
		sweep := func(call func(n int) error, where Where, ran Ran) (greatest int) {
			t.Helper()
			for n := limit - around; n < limit+10; n++ {
				err := call(n)
				if err == nil && greatest == max(n-1, limit-around) || err == nil && greatest == 0 {
					greatest = n
					continue
				}
				wantError(t, err, CodeResourceExhausted, where, ran)
				if !errors.Is(err, codec.ErrTooLarge) && where == InClient {
					t.Errorf("error is %v", err)
				}
			}
			mustAdd(t, client)
			return greatest
		}
		request := sweep(func(n int) error {
			var got int
			err := client.Call(context.Background(), "Blob.Take", strings.Repeat("x", n), &got)
			if err == nil && got != n {
				t.Errorf("%d bytes arrived of %d", got, n)
			}
			return err
		}, InClient, RanNever)
		reply := sweep(func(n int) error {
			var got string
			err := client.Call(context.Background(), "Blob.Give", n, &got)
			if err == nil && len(got) != n {
				t.Errorf("%d bytes arrived of %d", len(got), n)
			}
			return err
		}, InMethod, RanYes)
		for name, n := range map[string]int{"request": request, "reply": reply} {
			if n <= limit-around || n > limit {
				t.Errorf("largest %s is %d bytes, the limit on messages %d", name, n, limit)
			}
		}
	})
}
