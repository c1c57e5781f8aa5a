package test

import (
	"fmt"
	"net"
	"net/rpc"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestNetRPC_Calls makes the calls of net/rpc's own tests, in each way in which a client
// may have been made.
func TestNetRPC_Calls(t *testing.T) {
	eachStockWay(t, func(t *testing.T, e *stockEnv, client *rpc.Client) { stockCalls(t, client) })
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) { stockCalls(t, p.dial(e)) })
}

func stockCalls(t *testing.T, client *rpc.Client) {
	for _, c := range []struct {
		method            string
		args, reply, want any
	}{
		{"Stock.Add", &Args{7, 8}, new(Reply), &Reply{15}},
		{"Stock.Add", Args{7, 8}, new(Reply), &Reply{15}},
		{"Stock.Mul", &Args{7, 8}, new(Reply), &Reply{56}},
		{"Stock.Mul", Args{7, 8}, new(Reply), &Reply{56}},
		{"Stock.Scan", "12345", new(Reply), &Reply{12345}},
		{"Stock.Text", &Args{27, 35}, new(string), pointerTo("27+35=62")},
		{"Embed.Exported", &Args{7, 1}, new(Reply), &Reply{8}},
		{"net.rpc.Stock.Add", &Args{7, 8}, new(Reply), &Reply{15}},
		{"Builtin.Map", 7, &map[int]int{}, &map[int]int{7: 7}},
		{"Builtin.Slice", 7, new([]int), &[]int{7}},
		{"Builtin.Array", 7, new([1]int), &[1]int{7}},
	} {
		if err := stockCall(t, client, c.method, c.args, c.reply); err != nil || !reflect.DeepEqual(c.reply, c.want) {
			t.Errorf("%s(%v) = %v, %v; want %v", c.method, c.args, c.reply, err, c.want)
		}
	}
	wantServerError(t, stockCall(t, client, "Stock.Div", &Args{7, 0}, new(Reply)), "divide by zero: 100% of it")
	stockAdd(t, client)
}

func pointerTo[T any](v T) *T { return &v }

// TestNetRPC_Errors checks what a client is told about calls that can't be met, and that
// the connection works after each. The texts are net/rpc's own: programs compare them.
func TestNetRPC_Errors(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		client := p.dial(e)
		for text, names := range map[string][]string{
			"rpc: can't find method ":                  {"Stock.BadOperation", "Stock.add", "Stock.", "net.rpc.Stock.None"},
			"rpc: can't find service ":                 {"Unknown.Add", "stock.Add", "rpc.Stock.Add", ".Add", "."},
			"rpc: service/method request ill-formed: ": {"", "Stock", "StockAdd", "Stock/Add"},
		} {
			for _, name := range names {
				wantServerError(t, stockCall(t, client, name, Args{7, 0}, new(Reply)), text+name)
				stockAdd(t, client)
			}
		}
		wantServerError(t, stockCall(t, client, "Stock.Panic", Args{}, new(Reply)), "rpc server: method Stock.Panic panicked: out of coffee")
		stockAdd(t, client)
	})
}

// TestNetRPC_WrongTypes has arguments and replies of types that do not fit, or can't be
// sent. Each fails alone.
func TestNetRPC_WrongTypes(t *testing.T) {
	client := newStockEnv(t, "tcp").stock(overTCP)
	for _, c := range []struct {
		what        string
		method      string
		args, reply any
		says        []string
	}{
		{"arguments of another struct", "Stock.Add", new(Reply), new(Reply), []string{"rpc server: arguments of Stock.Add: gob: type mismatch", "type"}},
		{"arguments of another kind", "Stock.Add", "seven", new(Reply), []string{"rpc server: arguments of Stock.Add: gob: ", "type"}},
		{"a field of another kind", "Stock.Add", struct{ A string }{"7"}, new(Reply), []string{"arguments of Stock.Add", "wrong type"}},
		{"a reply that can't be encoded", "Stock.Unsendable", Args{}, new(Reply), []string{"rpc server: encoding the reply of Stock.Unsendable", "no exported fields"}},
	} {
		err := stockCall(t, client, c.method, c.args, c.reply)
		for _, text := range c.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", c.what, err, text)
			}
		}
		stockAdd(t, client)
	}
	// What the client itself can't encode does not reach the server.
	if err := stockCall(t, client, "Stock.Add", make(chan int), new(Reply)); err == nil {
		t.Error("a channel was sent")
	}
}

// TestNetRPC_ReplyOfAnotherType has a client that can't decode a reply. To the server it
// is gone, and others are not affected.
func TestNetRPC_ReplyOfAnotherType(t *testing.T) {
	e := newStockEnv(t, "tcp")
	other, client := e.stock(overTCP), e.stock(overTCP)
	if err := stockCall(t, client, "Stock.Add", Args{7, 8}, new(string)); err == nil {
		t.Error("a struct was decoded into a string")
	}
	stockAdd(t, other)
}

// TestNetRPC_Concurrent has many goroutines call on one client, without waiting too.
func TestNetRPC_Concurrent(t *testing.T) {
	eachStockWay(t, func(t *testing.T, e *stockEnv, client *rpc.Client) {
		var callers sync.WaitGroup
		for i := range 16 {
			callers.Go(func() {
				done := make(chan *rpc.Call, 20)
				for j := range cap(done) {
					client.Go([]string{"Stock.Add", "Stock.Mul", "Stock.Text"}[j%3], Args{i, j},
						[]any{new(Reply), new(Reply), new(string)}[j%3], done)
				}
				for range cap(done) {
					if call := <-done; call.Error != nil || !isRight(call) {
						t.Errorf("%s(%v) = %v, %v", call.ServiceMethod, call.Args, call.Reply, call.Error)
					}
				}
			})
		}
		callers.Wait()
	})
}

// isRight reports whether a call has the reply that it should have.
func isRight(call *rpc.Call) bool {
	args := call.Args.(Args)
	switch reply := call.Reply.(type) {
	case *string:
		return *reply == fmt.Sprintf("%d+%d=%d", args.A, args.B, args.A+args.B)
	case *Reply:
		return reply.C == args.A+args.B && call.ServiceMethod == "Stock.Add" || reply.C == args.A*args.B && call.ServiceMethod == "Stock.Mul"
	}
	return false
}

// A segmentedConn decides in which pieces what is written goes out.
type segmentedConn struct {
	net.Conn
	pieces int    // of so many bytes; 0: what is written is held
	held   []byte // until release
}

func (c *segmentedConn) Write(p []byte) (n int, err error) {
	if c.pieces == 0 {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	for piece := range slices.Chunk(p, c.pieces) {
		if _, err := c.Conn.Write(piece); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// release sends all that is held in one segment, if it is not too much.
func (c *segmentedConn) release() { c.Conn.Write(c.held) }

// TestNetRPC_Segments has calls arrive byte by byte, and many at once.
func TestNetRPC_Segments(t *testing.T) {
	for _, transport := range []string{"tcp", "pipe"} {
		for _, pieces := range []int{0, 1, 7} {
			t.Run(fmt.Sprint(transport, " ", pieces), func(t *testing.T) {
				eachStockProtocol(t, transport, func(t *testing.T, e *stockEnv, p stockProtocol) {
					conn := &segmentedConn{Conn: e.bare(), pieces: pieces}
					client := p.newClient(conn)
					defer client.Close()
					var calls []*rpc.Call
					for i := range 20 {
						calls = append(calls, client.Go("Stock.Add", Args{i, 1}, new(Reply), nil))
					}
					conn.release()
					for i, call := range calls {
						if err := stockAwait(t, call); err != nil || call.Reply.(*Reply).C != i+1 {
							t.Errorf("call %d: %v, %v", i, call.Reply, err)
						}
					}
				})
			})
		}
	}
}

// TestNetRPC_OutOfOrder has a call answered before one that was sent first.
func TestNetRPC_OutOfOrder(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		gate := e.gate()
		client := p.dial(e)
		slow := client.Go("Gate.Wait", 1, new(int), nil)
		gate.await(t)
		stockAdd(t, client)
		gate.open <- true
		if err := stockAwait(t, slow); err != nil || *slow.Reply.(*int) != 1 {
			t.Errorf("the first call: %v, %v", slow.Reply, err)
		}
	})
}
