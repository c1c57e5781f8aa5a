package link

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"

	"geerpc/codec"
	"geerpc/internal/compress"
	"geerpc/internal/wire"
)

// A countingConn counts what is written.
type countingConn struct {
	net.Conn
	written atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// connected returns both ends of a connection over a network.
func connected(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	if network == "pipe" {
		return net.Pipe()
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	if near, err = net.Dial("tcp", lis.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = lis.Accept(); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// compressible returns n bytes that a third of them would do for.
func compressible(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.Uint32()%4)
	}
	return b
}

// TestCompress: messages of all sizes, behind text that is not compressed, arrive
// as they were, over connections of which a write may be cut short and others.
func TestCompress(t *testing.T) {
	sizes := []int{0, 1, 200, 300, 5000, 70_000, 3, 300_000, 10}
	for _, network := range []string{"pipe", "tcp"} {
		for _, text := range []string{"hello\n", "hello"} {
			t.Run(fmt.Sprintf("%s %q", network, text), func(t *testing.T) {
				near, far := connected(t, network)
				out, in := newLink(t, near), newLink(t, far)
				go func() { // ends with the link
					out.Say([]byte(text))
					out.CompressWrites(compress.Flate{})
					for i, n := range sizes {
						put(t, out, uint64(i), compressible(n))
					}
				}()
				if hello, err := in.In.Peek(5); string(hello) != "hello" || err != nil {
					t.Fatalf("%q, %v", hello, err)
				}
				in.In.Discard(5)
				in.CompressReads(compress.Flate{})
				for i, n := range sizes {
					var h codec.Header
					var body []byte
					if err := in.ReadHeader(&h); err != nil || h.Seq != uint64(i) {
						t.Fatalf("message %d: %+v, %v", i, h, err)
					}
					if err := in.ReadBody(&body); err != nil || !bytes.Equal(body, compressible(n)) {
						t.Fatalf("message %d: %d bytes, %v", i, len(body), err)
					}
				}
			})
		}
	}
}

// TestCompress_LessIsSent: what is written to the connection is smaller.
func TestCompress_LessIsSent(t *testing.T) {
	near, far := connected(t, "tcp")
	counting := &countingConn{Conn: near}
	out := newLink(t, counting)
	go io.Copy(io.Discard, far) // ends with the connection
	t.Cleanup(func() { far.Close() })
	out.CompressWrites(compress.Flate{})
	put(t, out, 1, compressible(1<<20))
	out.Out.Drain(t.Context())
	if n := counting.written.Load(); n == 0 || n > 1<<19 {
		t.Errorf("%d bytes were written", n)
	}
}

func newLink(t *testing.T, conn net.Conn) *Link {
	t.Helper()
	l := New(conn, Config{Report: discard})
	if err := l.Open(codec.NewGobCodec); err != nil {
		t.Fatal(err)
	}
	l.Extend(0)
	t.Cleanup(func() {
		l.Fail(net.ErrClosed)
		l.Close()
	})
	return l
}

func put(t *testing.T, l *Link, seq uint64, body []byte) {
	t.Helper()
	if err := l.Out.Begin(t.Context()); err != nil {
		t.Error(err)
		return
	}
	if err := l.Put(codec.Header{Seq: seq, ServiceMethod: "A.B"}, body); err != nil {
		t.Error(err)
	}
	l.Out.End()
	l.Flush(false)
}

// An endingReader returns its last bytes together with io.EOF.
type endingReader struct{ rest []byte }

func (r *endingReader) Read(p []byte) (n int, err error) {
	n = copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		err = io.EOF
	}
	return n, err
}

// TestUnpack_AfterTheEnd: what was read ahead together with the end of the stream is
// not lost when decompressing begins.
func TestUnpack_AfterTheEnd(t *testing.T) {
	packed := compress.NewPacker(compress.Flate{}).Pack([]byte("hello"), []byte("first"))
	in := wire.NewReader(&endingReader{packed})
	if _, err := in.Peek(5); err != nil {
		t.Fatal(err)
	}
	in.Discard(5)
	in.Unpack(func(below *wire.Reader) io.Reader { return compress.NewUnpacker(below, compress.Flate{}) })
	if got, err := in.Peek(5); string(got) != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
