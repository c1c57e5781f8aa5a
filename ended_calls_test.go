package geerpc

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// A heldConn keeps what is written while it is held, and sends it in one piece.
type heldConn struct {
	net.Conn
	mu   sync.Mutex // guards what follows
	held bool
	buf  []byte
}

func (c *heldConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held {
		c.buf = append(c.buf, p...)
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *heldConn) hold(held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held = held; !held {
		c.Conn.Write(c.buf)
		c.buf = nil
	}
}

// A CleanedArgs leads to memory of which is told when it goes.
type CleanedArgs struct{ P *[64]byte }

// A Cleaned is a service that counts the arguments it got, and those that went.
type Cleaned struct{ took, freed atomic.Int32 }

// Take takes arguments.
func (c *Cleaned) Take(args CleanedArgs, _ *Reply) error {
	c.took.Add(1)
	runtime.AddCleanup(args.P, func(freed *atomic.Int32) { freed.Add(1) }, &c.freed)
	return nil
}

// A connection that is idle, and has had calls in batches, keeps none of them:
// not in the list of calls to be used again, nor in the pool of such lists. A
// ping behind the calls must not leave the connection with that list.
func TestC152_EndedCallsAreLetGo(t *testing.T) {
	for _, ping := range []bool{false, true} {
		name := "calls"
		if ping {
			name = "calls and a ping"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			cleaned := new(Cleaned)
			if err := e.Register(cleaned); err != nil {
				t.Fatal(err)
			}
			e.start()
			raw, err := net.Dial("tcp", e.lis.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn := &heldConn{Conn: raw}
			client, err := NewClient(conn, &Option{CodecType: codec.GobType})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			e.registry.method("Arith.Add").pace.Store(quickProof) // so that its calls are used again
			round := func(method string, args any, ping bool) {
				conn.hold(true)
				var calls []*Call
				for range 20 {
					calls = append(calls, client.Go(method, args, nil, nil))
				}
				if ping {
					client.link.Post(link.Control{Kind: codec.Ping})
				}
				time.Sleep(50 * time.Millisecond) // until all has been written
				conn.hold(false)
				for _, call := range calls {
					if <-call.Done; call.Error != nil {
						t.Fatal(call.Error)
					}
				}
			}
			round("Arith.Add", Args{}, false)
			round("Arith.Add", Args{}, false)
			round("Cleaned.Take", CleanedArgs{new([64]byte)}, ping)
			eventually(t, "the arguments are let go", func() bool {
				runtime.GC()
				return cleaned.freed.Load() >= cleaned.took.Load()-1 // the latest may be kept
			})
		})
	}
}
