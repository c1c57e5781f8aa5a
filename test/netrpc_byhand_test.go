package test

import (
	"bufio"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"strings"
	"sync/atomic"
	"testing"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/rpctest"
	"geerpc/xclient"
)

// What no client of the standard library sends, and its servers' tests do.

// pipe serves one end of a pipe and returns the other. The channel is closed when
// ServeConn has returned.
func (e *stockEnv) pipe() (conn net.Conn, ended chan struct{}) {
	near, far := net.Pipe()
	ended = make(chan struct{})
	go func() { defer close(ended); e.ServeConn(far) }() // ends with the connection
	e.t.Cleanup(func() { near.Close(); <-ended })
	return near, ended
}

// TestNetRPC_JSONByHand sends requests in the dialect of net/rpc/jsonrpc.
func TestNetRPC_JSONByHand(t *testing.T) {
	conn, _ := newStockEnv(t, "pipe").pipe()
	in := bufio.NewReader(conn)
	for i, c := range []struct{ request, answer string }{
		{`{"method":"Stock.Add","id":"\u0000","params":[{"A":1,"B":2}]}`, `{"id":"\u0000","result":{"C":3},"error":null}`},
		{`{"method":"Stock.Add","id":7.50,"params":[{"A":1,"B":3}]}`, `{"id":7.50,"result":{"C":4},"error":null}`},
		{`{"method":"Stock.Add","id":{"any":["id"]},"params":[{"A":1,"B":4}]}`, `{"id":{"any":["id"]},"result":{"C":5},"error":null}`},
		{`{"method":"Builtin.Map","id":null,"params":[7]}`, `{"id":null,"result":{"7":7},"error":null}`},
		{`{"method":"Stock.Add","params":[{"A":1,"B":5}]}`, `{"id":null,"result":{"C":6},"error":null}`},
		{`{"method":"Stock.Div","id":1,"params":[{"A":1,"B":0}]}`, `{"id":1,"result":null,"error":"divide by zero: 100% of it"}`},
		{`{"method":"Stock.Add","id":"123"}`, `{"id":"123","result":null,"error":"rpc server: arguments of Stock.Add: …`},
		{`{"method":"Stock.Add","id":2,"params":["seven"]}`, `{"id":2,"result":null,"error":"rpc server: arguments of Stock.Add: json: cannot unmarshal string …`},
		{`{"method":"Stock.Unsendable","id":3,"params":[{}]}`, `{"id":3,"result":null,"error":"rpc server: encoding the reply of Stock.Unsendable…func()…`},
		{`{}`, `{"jsonrpc":"2.0","error":{"code":-32600,…`},
		{`{"method":"Stock.Add","id":4,"params":[{"A":1,"B":6}]}`, `{"id":4,"result":{"C":7},"error":null}`},
	} {
		go io.WriteString(conn, c.request)
		line, err := in.ReadString('\n')
		begins, rest, elided := strings.Cut(c.answer, "…")
		rest, _, _ = strings.Cut(rest, "…")
		if err != nil || !json.Valid([]byte(line)) || !strings.HasPrefix(line, begins) || !strings.Contains(line, rest) || !elided && line != c.answer+"\n" {
			t.Errorf("%d: %s is answered with %s%v, want %s", i, c.request, line, err, c.answer)
		}
	}
}

// TestNetRPC_Malformed has streams that can't go on, which ServeConn must notice.
func TestNetRPC_Malformed(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":                `{id:1}`,
		"JSON behind a call":  `{"method":"Stock.Add","id":1,"params":[{"A":1,"B":6}]}{id:1}`,
		"no object":           `17`,
		"an object of no use": `{}`, // may be a hello
		"gob":                 string(gobOf(t, rpc.Request{ServiceMethod: "Stock.Add"})) + "\x05garbage",
	} {
		t.Run(name, func(t *testing.T) {
			conn, ended := newStockEnv(t, "pipe").pipe()
			go io.Copy(io.Discard, conn)
			io.WriteString(conn, text)
			<-ended
		})
	}
}

func gobOf(t *testing.T, values ...any) []byte {
	var out strings.Builder
	enc := gob.NewEncoder(&out)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(out.String())
}

// A brokenConn has an error to return where its client has said enough.
type brokenConn struct {
	io.Reader
	write  error
	closed atomic.Bool
}

func (c *brokenConn) Write(p []byte) (int, error) { return len(p), c.write }
func (c *brokenConn) Close() error                { c.closed.Store(true); return nil }

// TestNetRPC_ReadError has ServeConn end with a connection that breaks.
func TestNetRPC_ReadError(t *testing.T) {
	broken, fail := io.Pipe()
	fail.CloseWithError(errors.New("out of cable"))
	e := newStockEnv(t, "pipe")
	e.ServeConn(&brokenConn{Reader: broken})
	broken, fail = io.Pipe()
	go func() { fail.Write([]byte(`{"method":"St`)); fail.CloseWithError(errors.New("out of cable")) }()
	e.ServeConn(&brokenConn{Reader: broken})
}

// TestNetRPC_ServeRequest serves calls one by one, of which one lacks its arguments.
func TestNetRPC_ServeRequest(t *testing.T) {
	e := newStockEnv(t, "pipe")
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"a call":            {gobOf(t, rpc.Request{ServiceMethod: "Stock.Add"}, Args{7, 8}), nil},
		"without arguments": {gobOf(t, rpc.Request{ServiceMethod: "Stock.Add"}), io.ErrUnexpectedEOF},
		"nothing":           {nil, io.EOF},
	} {
		if err := e.ServeRequest(&brokenConn{Reader: strings.NewReader(string(c.in))}, codec.NewGobCodec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestNetRPC_AcceptReturns has Accept return where the listener is closed.
func TestNetRPC_AcceptReturns(t *testing.T) {
	lis, _ := rpctest.Listen(t, "tcp")
	lis.Close()
	newStockEnv(t, "tcp").Accept(lis)
}

// TestNetRPC_OurClient has our Client, as one of net/rpc, meet what net/rpc's own is
// tested with: a connection that can't be written to, and calls after Close.
func TestNetRPC_OurClient(t *testing.T) {
	for _, p := range []*geerpc.Protocol{geerpc.NetRPC, geerpc.JSONRPC1} {
		t.Run(p.Name, func(t *testing.T) {
			silent, hold := io.Pipe()
			conn := &brokenConn{Reader: silent, write: errors.New("fake write failure")}
			client, err := geerpc.NewClient(geerpc.NewConn(conn), &geerpc.Option{Protocol: p})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second finds no lock held
				if err := client.Call(t.Context(), "Stock.Add", Args{7, 8}, new(Reply)); err == nil || !strings.Contains(fmt.Sprint(err), "fake write failure") && !errors.Is(err, geerpc.ErrShutdown) {
					t.Errorf("a call that can't be written: %v", err)
				}
			}
			hold.Close()
			client.Close()
			if err := client.Call(t.Context(), "Stock.Add", Args{7, 8}, new(Reply)); !errors.Is(err, geerpc.ErrShutdown) {
				t.Errorf("a call after Close: %v", err)
			}
			if !conn.closed.Load() {
				t.Error("the connection is left open")
			}
		})
	}
}

// TestNetRPC_XClient has a list of servers in which net/rpc's and ours are mixed, as during
// a move.
func TestNetRPC_XClient(t *testing.T) {
	old, _ := stockServer(t)
	e := newStockEnv(t, "tcp")
	if err := e.Register(StockArith{}); err != nil {
		t.Fatal(err)
	}
	xc := xclient.New(xclient.NewMultiServerDiscovery([]string{"rpc@" + old, "tcp@" + e.addr()}), xclient.Config{})
	defer xc.Close()
	for i := range 10 {
		var sum int
		if err := xc.Call(t.Context(), "StockArith.Add", StockArgs{i, 1}, &sum); err != nil || sum != i+1 {
			t.Errorf("%d + 1 = %d, %v", i, sum, err)
		}
	}
	if err := xc.Broadcast(t.Context(), "StockArith.Add", StockArgs{1, 1}, nil); err != nil {
		t.Error(err)
	}
}
