package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// TestBuffers_Sizes takes buffers of many sizes, and gives back others of any size:
// each has the room that was asked for, and not many times as much.
func TestBuffers_Sizes(t *testing.T) {
	for n := 1; n < 40<<20; n += 1 + n/7 {
		releaseBuffer(make([]byte, n))
		b := takeBuffer(n)
		if len(b) != 0 || cap(b) < n || cap(b) > 4*n+classSize(0) {
			t.Fatalf("a buffer of %d bytes has %d, %d in use", n, cap(b), len(b))
		}
		releaseBuffer(b)
	}
	for class := range bufferClasses {
		if b := takeBuffer(maxOwnBuffer<<class + 100); cap(b) >= 2*classSize(class) {
			t.Errorf("a body of %d bytes and its header have %d", maxOwnBuffer<<class, cap(b))
		}
	}
}

// TestReader_LargeAgain has three messages begin that are large. The second one has
// all its room at once, since the first one came; the third one follows a small one,
// and must show first that it comes.
func TestReader_LargeAgain(t *testing.T) {
	const large, begun = 1 << 20, 1000
	var stream bytes.Buffer
	r := NewReader(&stream)
	for i, n := range []int{large, large, 10, large} {
		stream.Write(make([]byte, min(n, begun)))
		r.err = nil // the stream goes on
		r.Peek(n)
		if all := len(r.buf) >= large; all != (i == 1) {
			t.Errorf("of message %d %d bytes have come, and there is room for %d", i, begun, len(r.buf))
		}
		stream.Write(make([]byte, max(0, n-begun)))
		r.err = nil
		if _, err := r.Peek(n); err != nil {
			t.Fatal(err)
		}
		r.Discard(n)
	}
}

// TestWriter_Sizes has goroutines write messages of all sizes, and give up some that
// they have begun: the others arrive whole, and those of each goroutine in order.
func TestWriter_Sizes(t *testing.T) {
	const writers, messages = 4, 200
	client, server := net.Pipe()
	defer client.Close()
	w := NewWriter(client, -1, func(err error) { t.Error(err) })
	var wg sync.WaitGroup
	for who := range writers {
		wg.Go(func() {
			for i := range messages {
				n := 16 + rand.N(1<<rand.N(18))
				w.Begin(context.Background())
				for _, sent := range []bool{false, true} {
					b := w.Buffer(rand.N(2 * n))
					b = binary.BigEndian.AppendUint32(b, uint32(who))
					b = binary.BigEndian.AppendUint32(b, uint32(i))
					b = binary.BigEndian.AppendUint32(b, uint32(n))
					b = append(b, bytes.Repeat([]byte{byte(i)}, n)...)
					if sent {
						w.Commit(b)
					}
				}
				w.End()
				w.Flush(true)
			}
		})
	}
	next := make([]int, writers)
	for range writers * messages {
		var head [12]byte
		if _, err := io.ReadFull(server, head[:]); err != nil {
			t.Fatal(err)
		}
		who, i, n := binary.BigEndian.Uint32(head[:]), int(binary.BigEndian.Uint32(head[4:])), binary.BigEndian.Uint32(head[8:])
		if who >= writers || i != next[who] || n > 1<<18 {
			t.Fatalf("message %d of %d bytes from %d, expected is %v", i, n, who, next)
		}
		next[who]++
		body := make([]byte, n)
		if _, err := io.ReadFull(server, body); err != nil || !bytes.Equal(body, bytes.Repeat([]byte{byte(i)}, int(n))) {
			t.Fatalf("%v, or another body than was sent", err)
		}
	}
	wg.Wait()
	w.Drain(t.Context())
	wantSmallBuffers(t, w)
}

// wantSmallBuffers fails if a Writer that has nothing to write keeps a large buffer.
func wantSmallBuffers(t *testing.T, w *Writer) {
	t.Helper()
	for _, b := range append(w.free, w.open) {
		if cap(b) > maxOwnBuffer {
			t.Errorf("a buffer of %d bytes is kept", cap(b))
		}
	}
}

// TestWriter_GivenUp begins a large message that is not finished.
func TestWriter_GivenUp(t *testing.T) {
	w := NewWriter(io.Discard, -1, func(err error) { t.Error(err) })
	w.Begin(t.Context())
	w.Buffer(1 << 20)
	w.End()
	wantSmallBuffers(t, w)
}
