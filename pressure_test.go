package geerpc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
)

// blobs registers Test.Blob, which replies with as many bytes as it is asked
// for.
func blobs(e *env) (running *atomic.Int64) {
	running = new(atomic.Int64)
	RegisterFunc(e.Server, "Test.Blob", func(_ context.Context, n int) ([]byte, error) {
		running.Add(1)
		defer running.Add(-1)
		return bytes.Repeat([]byte{'x'}, n), nil
	})
	return running
}

// D33: a client that calls and never reads. Its connection is closed after the
// flush timeout, until then it costs what the limits say, and other
// connections don't notice.
func TestD33_ClientNeverReads(t *testing.T) {
	for _, transport := range []string{"tcp", "pipe", "unix"} {
		t.Run(transport, func(t *testing.T) {
			e := newEnv(t, transport, framedJSON)
			e.FlushTimeout = 500 * time.Millisecond
			e.MaxInFlight = 16
			blobs(e)
			client := e.dial(nil)
			ended := make(chan struct{})
			RegisterFunc(e.Server, "Test.Witness", func(ctx context.Context, _ Args) (Reply, error) {
				<-ctx.Done()
				close(ended)
				return Reply{}, nil
			})
			p := e.byHand(allKinds...)
			before := heapInUse()
			start := time.Now()
			p.send(handFrame{kind: codec.Call, seq: 1 << 40, method: "Test.Witness", body: "{}"})
			p.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			var asked atomic.Int64
			asking := make(chan struct{})
			go func() { // ends with the connection
				defer close(asking)
				for seq := uint64(1); ; seq++ {
					f := handFrame{kind: codec.Call, seq: seq, method: "Test.Blob", body: "1000000"}
					if _, err := p.conn.Write(f.bytes()); err != nil {
						return
					}
					asked.Add(1)
				}
			}()
			var most int64
			for open := true; open; {
				select {
				case <-ended:
					open = false
				case <-time.After(20 * time.Millisecond): // between two looks at the heap
				}
				most = max(most, heapInUse()-before)
				var reply Reply
				began := time.Now()
				if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
					t.Fatalf("meanwhile, another client: %d, %v", reply.C, err)
				}
				if took := time.Since(began); took > patient {
					t.Errorf("another client waited for %v", took)
				}
				if time.Since(start) > 15*time.Second {
					t.Fatal("the connection is still open")
				}
			}
			p.conn.Close()
			<-asking
			// 16 replies of 1.3 MB each being encoded or waiting, and 1 MiB gathered.
			if most > 100<<20 {
				t.Errorf("the heap grew by %d bytes for %d calls", most, asked.Load())
			}
			t.Logf("%d calls, heap grew by %d MB, closed after %v", asked.Load(), most>>20, time.Since(start))
		})
	}
}

// D33, the other way about: a server that never reads. Calls fail when the
// flush timeout is over, and those that wait for room when their context ends.
func TestD33_ServerNeverReads(t *testing.T) {
	client, p := handServer(t, &Option{CodecType: framedJSON, FlushTimeout: 1500 * time.Millisecond})
	args := string(bytes.Repeat([]byte{'x'}, 600<<10))
	calls := []*Call{client.Go("T.A", args, nil, nil), client.Go("T.B", args, nil, nil), client.Go("T.C", args, nil, nil)}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := client.Call(ctx, "T.D", args, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	for _, call := range calls {
		<-call.Done
		if CodeOf(call.Error) != CodeUnavailable {
			t.Errorf("%s: %v", call.ServiceMethod, call.Error)
		}
	}
	p.conn.Close()
}

// D34: a huge reply among many small ones: they all arrive, whole.
func TestD34_HugeAmongSmall(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.MaxMessageBytes = 32 << 20
		blobs(e)
		const size = 2 << 20 // JSON makes a third more of it
		client := e.dial(nil)
		huge := make(chan error, 1)
		go func() {
			var blob []byte
			err := client.Call(context.Background(), "Test.Blob", size, &blob)
			if err == nil && (len(blob) != size || bytes.Count(blob, []byte{'x'}) != size) {
				err = errors.New("the huge reply is not what it should be")
			}
			huge <- err
		}()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				for j := range 20 {
					var reply Reply
					if err := client.Call(context.Background(), "Arith.Add", Args{i, j}, &reply); err != nil || reply.C != i+j {
						t.Errorf("%d + %d = %d, %v", i, j, reply.C, err)
					}
				}
			})
		}
		wg.Wait()
		if err := <-huge; err != nil {
			t.Error(err)
		}
	})
}

// D35: a flood of pings, read or not, costs next to nothing, and a call among
// them is served.
func TestD35_PingFlood(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	e.FlushTimeout = time.Second
	p := e.byHand(allKinds...)
	flood := bytes.Repeat(handFrame{kind: codec.Ping}.bytes(), 1000)
	before := heapInUse()
	for range 500 { // half a million pings, of which no answer is read
		if _, err := p.conn.Write(flood); err != nil {
			t.Fatal(err)
		}
	}
	p.send(handAdd(1, 1, 1))
	if grown := heapInUse() - before; grown > 8<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	pongs := 0
	for {
		f := p.next()
		if f.kind == codec.Pong {
			pongs++
			continue
		}
		if f.seq != 1 || f.sum(t) != 2 {
			t.Errorf("%+v", f)
		}
		break
	}
	if pongs == 0 {
		t.Error("no ping was answered")
	}
	t.Log(pongs, "pongs for 500,000 pings")
}

// D35, of other kinds: cancels of nothing, refused calls, unknown kinds. A peer
// that makes the server owe it answers and does not read them is cut off.
func TestD35_OtherFloods(t *testing.T) {
	t.Run("kinds that want no answer", func(t *testing.T) {
		e := newEnv(t, "tcp", framedJSON)
		p := e.byHand(allKinds...)
		for _, f := range []handFrame{
			{kind: codec.Cancel, seq: 77}, {kind: codec.Pong}, {kind: codec.Reply, seq: 5, body: "{}"}, {kind: codec.Data}, {kind: 99},
		} {
			if _, err := p.conn.Write(bytes.Repeat(f.bytes(), 20000)); err != nil {
				t.Fatal(err)
			}
		}
		p.send(handAdd(1, 1, 1))
		if f := p.next(); f.seq != 1 || f.sum(t) != 2 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("refusals that are never read", func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON) // no socket buffers to hide in
		e.MaxInFlight = 1
		e.FlushTimeout = -1
		running, ended := waits(e)
		p := e.byHand(allKinds...)
		p.send(handFrame{kind: codec.Call, seq: 1, method: "Test.Wait", body: "{}"})
		<-running
		before := heapInUse()
		flood := bytes.Repeat(handBlock(2).bytes(), 1000)
		p.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
		sent := 0
		for {
			if _, err := p.conn.Write(flood); err != nil {
				if e, ok := err.(net.Error); ok && e.Timeout() {
					t.Fatal("the connection is still open")
				}
				break
			}
			sent += 1000
		}
		if grown := heapInUse() - before; grown > 32<<20 {
			t.Errorf("the heap has grown by %d bytes for %d calls", grown, sent)
		}
		<-ended
		t.Log(sent, "calls before the connection was closed")
	})
}
