package geerpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/compress"
	"geerpc/internal/handshake"
)

// Bytes is a service that returns what it gets.
type Bytes struct{}

// Echo returns data.
func (Bytes) Echo(data []byte, reply *[]byte) error {
	*reply = data
	return nil
}

// Wait waits for the end of its context.
func (Bytes) Wait(ctx context.Context, _ int, _ *int) error {
	<-ctx.Done()
	return ctx.Err()
}

// compressible returns n bytes that a half of them would do for.
func compressible(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.Uint32()%4)
	}
	return b
}

// A meteredDialer counts the bytes of its connections, both ways.
type meteredDialer struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	bytes atomic.Int64
}

func (d *meteredDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dial := d.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, address)
	return &meteredConn{conn, &d.bytes}, err
}

type meteredConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p))) // before: the reply may be here sooner than Write returns
	return c.Conn.Write(p)
}

// newBytesEnv returns a server of Bytes that allows flate.
func newBytesEnv(t *testing.T, transport string, c codec.Type) *env {
	e := newEnv(t, transport, c)
	if err := e.Register(Bytes{}); err != nil {
		t.Fatal(err)
	}
	e.Compression = []string{"flate"}
	return e
}

// echo has Bytes.Echo return n bytes.
func echo(t *testing.T, client *Client, n int) {
	t.Helper()
	var got []byte
	if err := client.Call(t.Context(), "Bytes.Echo", compressible(n), &got); err != nil || !bytes.Equal(got, compressible(n)) {
		t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
	}
}

// TestCompression: calls of all sizes, at once, over every connection and codec,
// with cancellations, pings and a Shutdown between them.
func TestCompression(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e = newBytesEnv(t, e.transport, e.codec)
		client := e.dial(&Option{Compression: []string{"flate"}})
		var wg sync.WaitGroup
		for _, n := range []int{0, 1, 100, 255, 256, 5000, 70_000, 300_000} {
			wg.Go(func() { echo(t, client, n) })
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
				defer cancel()
				if err := client.Call(ctx, "Bytes.Wait", n, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a call that waits: %v", err)
				}
			})
			wg.Go(func() {
				if err := client.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		call := client.Go("Bytes.Echo", compressible(1000), new([]byte), nil)
		if err := client.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if <-call.Done; call.Error != nil {
			t.Error(call.Error)
		}
	})
}

// TestCompression_Agreed: both sides must want it, and then fewer bytes travel.
func TestCompression_Agreed(t *testing.T) {
	const size = 100_000
	for _, c := range []struct {
		name           string
		server, client []string
		compressed     bool
	}{
		{"both", []string{"flate"}, []string{"flate"}, true},
		{"the client's second choice", []string{"flate"}, []string{"test/none", "flate"}, true},
		{"the server does not", nil, []string{"flate"}, false},
		{"the client does not", []string{"flate"}, nil, false},
		{"the server wants what it does not know", []string{"brotli"}, []string{"flate"}, false},
		{"neither", nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			RegisterCompression("test/none", compress.Flate{})
			e := newBytesEnv(t, "tcp", codec.GobType)
			e.Compression = c.server
			dialer := new(meteredDialer)
			echo(t, e.dial(&Option{Compression: c.client, Dialer: dialer.DialContext}), size)
			if n := dialer.bytes.Load(); c.compressed && n > size || !c.compressed && n < 2*size {
				t.Errorf("%d bytes have travelled for %d there and back", n, size)
			}
		})
	}
}

// TestCompression_Unknown: a client that names what it does not know is told.
func TestCompression_Unknown(t *testing.T) {
	_, err := newEnv(t, "pipe", codec.GobType).tryDial(&Option{Compression: []string{"flate", "brotli"}})
	wantError(t, err, CodeInvalidArgument, InClient, RanNever)
}

// TestCompression_Forced: a server can't choose what it was not offered.
func TestCompression_Forced(t *testing.T) {
	near, far := net.Pipe()
	go func() { // ends with the connection
		far.Read(make([]byte, 1<<10))
		io.WriteString(far, `{"OK":true,"Version":1,"Compression":"flate"}`+"\n")
		io.Copy(io.Discard, far)
	}()
	_, err := NewClient(near, &Option{CodecType: codec.JsonType})
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
}

// TestCompression_Limit: messages are limited by what they are, not by what they
// are compressed to; the call fails alone.
func TestCompression_Limit(t *testing.T) {
	e := newBytesEnv(t, "tcp", codec.GobType)
	e.MaxMessageBytes = 10_000
	client := e.dial(&Option{Compression: []string{"flate"}})
	err := client.Call(t.Context(), "Bytes.Echo", make([]byte, 20_000), new([]byte))
	wantError(t, err, CodeResourceExhausted, InClient, RanNever)
	echo(t, client, 5000)
}

// TestB13_DecompressionBomb: a client that sends blocks which would become more
// than they say, or much out of little, costs its own connection and no memory.
func TestB13_DecompressionBomb(t *testing.T) {
	bomb := compress.Flate{}.Compress(nil, make([]byte, 64<<20))
	lie := append([]byte{1, 0xff, 0xff, 0xff, 0xfe}, bomb...) // 64 KiB in one byte less
	honest := compress.NewPacker(compress.Flate{}).Pack(nil, make([]byte, 64<<20))
	for name, data := range map[string][]byte{"more than it says": lie, "much out of little": honest} {
		t.Run(name, func(t *testing.T) {
			e := newBytesEnv(t, "tcp", codec.GobType)
			p := e.handshake(func(h *handshake.Hello) { h.Compressions = []string{"flate"} })
			if p.ack.Compression != "flate" {
				t.Fatalf("acknowledged %+v", p.ack)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			go p.Conn.Write(data) // ends with the connection
			if n, err := io.Copy(io.Discard, p.Conn); n > 1<<10 {
				t.Errorf("%d bytes were answered, %v", n, err)
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
				t.Errorf("%d bytes were allocated", took)
			}
			echo(t, e.dial(&Option{Compression: []string{"flate"}}), 1000)
		})
	}
}

// An exitingCompression ends the goroutine that compresses, once it is told to.
type exitingCompression struct {
	compress.Flate
	exit atomic.Bool
}

// Compress implements Compression.
func (c *exitingCompression) Compress(dst, src []byte) []byte {
	if c.exit.Load() {
		runtime.Goexit()
	}
	return c.Flate.Compress(dst, src)
}

// TestB13_CompressionExits: a compression that ends the goroutine ends the connection,
// and leaves nobody waiting.
func TestB13_CompressionExits(t *testing.T) {
	exiting := new(exitingCompression)
	RegisterCompression("test/exits", exiting)
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			exiting.exit.Store(false)
			e := newBytesEnv(t, transport, codec.GobType)
			e.Compression = []string{"test/exits"}
			client := e.dial(&Option{Compression: []string{"test/exits"}})
			echo(t, client, 1000)
			exiting.exit.Store(true)
			call := client.Go("Bytes.Echo", compressible(200), new([]byte), nil) // small enough not to be compressed here
			<-call.Done
			var end sync.WaitGroup
			end.Go(func() { client.Call(t.Context(), "Bytes.Echo", compressible(1000), new([]byte)) })
			end.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := client.Call(ctx, "Bytes.Echo", compressible(10), new([]byte)); err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a call on the connection: %v", err)
			}
		})
	}
}
