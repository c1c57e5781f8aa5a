package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestReader_Peek(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 20000)
	for _, c := range []struct {
		name string
		src  io.Reader
	}{
		{"at once", bytes.NewReader(data)},
		{"one byte at a time", iotest.OneByteReader(bytes.NewReader(data))},
		{"halves", iotest.HalfReader(bytes.NewReader(data))},
		{"error with the data", iotest.DataErrReader(bytes.NewReader(data))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(c.src)
			rest := data
			for n := 1; len(rest) > 0; n = n*3 + 1 {
				n = min(n, len(rest))
				got, err := r.Peek(n)
				if err != nil || !bytes.Equal(got, rest[:n]) {
					t.Fatalf("Peek(%d) at %d: %v", n, len(data)-len(rest), err)
				}
				r.Discard(n)
				rest = rest[n:]
			}
			if got, err := r.Peek(1); err != io.EOF || len(got) > 0 {
				t.Errorf("at the end: %q, %v", got, err)
			}
		})
	}
	r := NewReader(bytes.NewReader(data[:3]))
	if got, err := r.Peek(4); err != io.ErrUnexpectedEOF || len(got) != 3 {
		t.Errorf("short: %q, %v", got, err)
	}
}

// TestReader_FalseLength asks for far more than comes: the buffer grows with
// what has come.
func TestReader_FalseLength(t *testing.T) {
	r := NewReader(bytes.NewReader(make([]byte, 3000)))
	if _, err := r.Peek(1 << 30); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if len(r.buf) > 8<<10 {
		t.Errorf("%d bytes of buffer for 3,000 bytes", len(r.buf))
	}
}

// TestReader_Shrinks reads a large message and then many small ones.
func TestReader_Shrinks(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		server.Write(make([]byte, 1<<20))
		for range 1000 {
			server.Write(make([]byte, 10))
		}
		server.Close()
	}()
	r := NewReader(client)
	for _, n := range append([]int{1 << 20}, slicesOf(1000, 10)...) {
		if _, err := r.Peek(n); err != nil {
			t.Fatal(err)
		}
		r.Discard(n)
	}
	if len(r.buf) > firstBuffer {
		t.Errorf("%d bytes of buffer are left", len(r.buf))
	}
}

func slicesOf(n, value int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = value
	}
	return s
}

func TestReader_Budget(t *testing.T) {
	r := NewReader(bytes.NewReader(make([]byte, 100)))
	r.SetBudget(60)
	got, err := io.ReadAll(r)
	if len(got) != 60 || !errors.Is(err, ErrBudget) {
		t.Errorf("read %d, %v", len(got), err)
	}
	r.SetBudget(-1)
	if got, err := io.ReadAll(r); len(got) != 40 || err != nil {
		t.Errorf("then %d, %v", len(got), err)
	}
}

// slowConn counts writes, each of which takes a while.
type slowConn struct {
	writes atomic.Int64
	data   bytes.Buffer
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	time.Sleep(time.Millisecond) // a write takes time, in which callers gather
	return c.data.Write(p)
}

// TestWriter_Coalesces has many callers write at a time: few writes, all bytes.
func TestWriter_Coalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := new(slowConn)
		w := NewWriter(conn, -1, func(err error) { t.Error(err) })
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if err := w.Begin(t.Context()); err != nil {
					t.Error(err)
					return
				}
				w.Write([]byte("0123456789"))
				w.End()
				w.Flush(true)
			})
		}
		wg.Wait()
		w.Drain(t.Context())
		if n := conn.writes.Load(); n > 100 || conn.data.Len() != 10000 {
			t.Errorf("%d bytes in %d writes", conn.data.Len(), n)
		}
	})
}

// TestWriter_PeerThatDoesNotRead fills a pipe nobody reads: nobody is held up
// but by a lack of room, that only under its context, and in the end the
// Writer fails.
func TestWriter_PeerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		failed := make(chan error, 1)
		w := NewWriter(client, 10*time.Second, func(err error) { client.Close(); failed <- err })
		begin := time.Now()
		for range 2 { // the first is being written, the second gathered
			if err := w.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.Write(make([]byte, maxGathered))
			w.End()
			w.Flush(false)
			synctest.Wait()
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("writing took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Begin(ctx); err != context.DeadlineExceeded {
			t.Errorf("no room: %v", err)
		}
		if err := <-failed; err != ErrFlushTimeout || time.Since(begin) != 10*time.Second {
			t.Errorf("failed after %v: %v", time.Since(begin), err)
		}
		if err := w.Begin(t.Context()); err != ErrFlushTimeout {
			t.Errorf("after that: %v", err)
		}
		w.Wait()
	})
}

// byteAt is what a long message has at a place. It does not repeat itself at a
// buffer's size, so that a piece sent twice shows.
func byteAt(i int) byte { return byte(uint32(i) * 2654435761 >> 24) }

// TestWriter_SlowReader sends a lot through a real socket to a reader that
// pauses: writes stop half-way and go on, and every byte arrives once.
func TestWriter_SlowReader(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	client, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client.(*net.TCPConn).SetWriteBuffer(4 << 10)
	w := NewWriter(client, 10*time.Second, func(err error) { t.Error(err) })
	const total = 2 << 20 // far more than the buffers of the socket hold
	go func() {
		chunk := make([]byte, 64<<10)
		for n := 0; n < total; n += len(chunk) {
			for i := range chunk {
				chunk[i] = byteAt(n + i)
			}
			if err := w.Begin(context.Background()); err != nil {
				return
			}
			w.Write(chunk)
			w.End()
			w.Flush(false)
		}
	}()
	buf := make([]byte, 256<<10)
	for n := 0; n < total; {
		if n < 4*len(buf) {
			<-time.After(2 * patience) // longer than a caller's patience
		}
		got, err := io.ReadFull(server, buf) // total is a multiple of it
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range buf[:got] {
			if b != byteAt(n+i) {
				t.Fatalf("byte %d is wrong", n+i)
			}
		}
		n += got
	}
}

// A wrapper may show the connection beneath it and have no deadlines itself.
func TestWriter_WrapperWithoutDeadlines(t *testing.T) {
	w := NewWriter(wrapper{io.Discard}, time.Second, func(err error) { t.Error(err) })
	w.Begin(t.Context())
	w.Write([]byte("message"))
	w.End()
	w.Flush(false)
	w.Drain(t.Context())
}

type wrapper struct{ io.Writer }

func (wrapper) Unwrap() net.Conn { return new(net.TCPConn) }

// TestD122_RestIsNotKept has the end of a large buffer written by a goroutine,
// as it is after the peer has taken all but that at once.
func TestD122_RestIsNotKept(t *testing.T) {
	w := NewWriter(io.Discard, time.Minute, func(err error) { t.Error(err) })
	large := make([]byte, 3<<20)
	w.flushing.Store(true)
	w.handOver(large, large[len(large)-maxOwnBuffer/2:])
	w.Wait()
	if w.free != nil {
		t.Errorf("the last %d bytes of a buffer of %d are kept, and so is all of it", cap(w.free), len(large))
	}
	if w.flushing.Load() {
		t.Error("the flush has not ended")
	}
}

func TestWriter_FailWakesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		calls := 0
		w := NewWriter(client, -1, func(error) { calls++; client.Close() })
		if err := w.Begin(t.Context()); err != nil { // and keep the turn
			t.Fatal(err)
		}
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- w.Begin(context.Background()) }()
		}
		synctest.Wait()
		reason := errors.New("reason")
		w.Fail(reason)
		w.Fail(errors.New("another"))
		for range 3 {
			if err := <-errs; err == nil {
				t.Error("got the turn")
			}
		}
		if w.Err() != reason || calls != 1 {
			t.Errorf("failed with %v, told %d times", w.Err(), calls)
		}
		w.End()
		w.Wait()
	})
}

// TestGate has goroutines take turns at a counter, some of which give up.
func TestGate(t *testing.T) {
	g := gate{freed: make(chan struct{}, 1)}
	inside, turns := 0, 0
	var given atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 2000 {
				ctx, cancel := context.Background(), func() {}
				if i%4 == 0 {
					ctx, cancel = context.WithTimeout(ctx, 10*time.Microsecond)
				}
				if err := g.lock(ctx, nil); err != nil {
					given.Add(1)
				} else {
					if inside++; inside != 1 {
						t.Errorf("%d inside", inside)
					}
					inside--
					turns++
					g.unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if turns+int(given.Load()) != 32*2000 {
		t.Errorf("%d turns, %d given up", turns, given.Load())
	}
}

// A message that fills the first buffer is no reason to double it, if StartOver says so.
func TestStartOver(t *testing.T) {
	for _, startOver := range []bool{false, true} {
		r := NewReader(strings.NewReader(strings.Repeat("h", firstBuffer) + "next"))
		if _, err := r.Peek(firstBuffer); err != nil {
			t.Fatal(err)
		}
		want := 2 * firstBuffer
		if startOver {
			r.StartOver()
			want = firstBuffer
		}
		r.Discard(firstBuffer)
		if got, err := r.Peek(4); string(got) != "next" || err != nil {
			t.Fatalf("read %q, %v", got, err)
		}
		if len(r.buf) != want {
			t.Errorf("StartOver %v: the buffer has %d bytes, want %d", startOver, len(r.buf), want)
		}
	}
}
