package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/rpc"
	"strings"
	"sync"
	"testing"

	"geerpc"
	"geerpc/codec"
)

// A StockArith is a service of the standard library's net/rpc.
type StockArith struct{}

// StockArgs are its arguments.
type StockArgs struct{ A, B int }

func (StockArith) Add(args StockArgs, reply *int) error {
	*reply = args.A + args.B
	return nil
}

func (StockArith) Div(args StockArgs, reply *int) error {
	if args.B == 0 {
		return errors.New("divide by 100%")
	}
	*reply = args.A / args.B
	return nil
}

// stockServer serves StockArith with net/rpc, at its own protocol and behind HTTP.
func stockServer(t *testing.T) (plain, behindHTTP string) {
	server := rpc.NewServer()
	if err := server.Register(StockArith{}); err != nil {
		t.Fatal(err)
	}
	listen := func(serve func(net.Listener)) string {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); serve(lis) }() // ends with the test
		t.Cleanup(func() { lis.Close(); <-ended })
		return lis.Addr().String()
	}
	accept := func(lis net.Listener) {
		var conns sync.WaitGroup
		defer conns.Wait()
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { server.ServeConn(conn) })
		}
	}
	return listen(accept), listen(func(lis net.Listener) { http.Serve(lis, server) })
}

// Our client speaks to a server of net/rpc, however it is reached.
func TestProtocols_StockServer(t *testing.T) {
	plain, behindHTTP := stockServer(t)
	for name, dial := range map[string]func() (*geerpc.Client, error){
		"Dial": func() (*geerpc.Client, error) {
			return geerpc.Dial("tcp", plain, &geerpc.Option{Protocol: geerpc.NetRPC})
		},
		"XDial": func() (*geerpc.Client, error) { return geerpc.XDial("rpc@" + plain) },
		"NewClient": func() (*geerpc.Client, error) {
			conn, err := net.Dial("tcp", plain)
			if err != nil {
				return nil, err
			}
			return geerpc.NewClient(conn, &geerpc.Option{Protocol: geerpc.NetRPC})
		},
		"DialHTTP": func() (*geerpc.Client, error) {
			return geerpc.DialHTTP("tcp", behindHTTP, &geerpc.Option{Protocol: geerpc.NetRPC})
		},
		"DialHTTPPath": func() (*geerpc.Client, error) {
			return geerpc.DialHTTPPath("tcp", behindHTTP, rpc.DefaultRPCPath, &geerpc.Option{Protocol: geerpc.NetRPC})
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			callStock(t, client)
		})
	}
}

// callStock calls StockArith.
func callStock(t *testing.T, client geerpc.Caller) {
	t.Helper()
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			var sum int
			if err := client.Call(t.Context(), "StockArith.Add", StockArgs{i, i}, &sum); err != nil || sum != 2*i {
				t.Errorf("%d + %d = %d, %v", i, i, sum, err)
			}
		})
	}
	calls.Wait()
	for _, c := range []struct {
		method string
		args   any
		want   string
	}{
		{"StockArith.Div", StockArgs{1, 0}, "divide by 100%"},
		{"StockArith.Mul", StockArgs{1, 0}, "rpc: can't find method StockArith.Mul"},
		{"Nobody.Mul", StockArgs{1, 0}, "rpc: can't find service Nobody.Mul"},
		{"StockArith.Div", "text", "gob: type mismatch"},
	} {
		err := client.Call(t.Context(), c.method, c.args, new(int))
		var e *geerpc.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s(%v): %v, want %q", c.method, c.args, err, c.want)
		}
	}
	var quotient int
	if err := client.Call(t.Context(), "StockArith.Div", StockArgs{6, 3}, &quotient); err != nil || quotient != 2 {
		t.Errorf("after the errors: %d, %v", quotient, err)
	}
}

// What can't work says so, and what to do.
func TestProtocols_DialErrors(t *testing.T) {
	plain, behindHTTP := stockServer(t)
	for name, c := range map[string]struct {
		dial func() (*geerpc.Client, error)
		want string
	}{
		"for servers only": {func() (*geerpc.Client, error) {
			return geerpc.Dial("tcp", plain, &geerpc.Option{Protocol: geerpc.HTTP})
		}, "HTTP has no ClientCodec"},
		"two protocols": {func() (*geerpc.Client, error) {
			return geerpc.XDial("jsonrpc@"+plain, &geerpc.Option{Protocol: geerpc.NetRPC})
		}, "leave one of them out"},
		"net/rpc behind HTTP": {func() (*geerpc.Client, error) {
			return geerpc.DialHTTPPath("tcp", behindHTTP, rpc.DefaultRPCPath)
		}, "set Option.Protocol to NetRPC"},
		"a protocol in front": {func() (*geerpc.Client, error) { return geerpc.Dial("tcp", "rpc@"+plain) }, "use XDial"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := c.dial()
			if err == nil {
				client.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A caller that leaves leaves alone: the connection goes on, and the late answer is dropped.
func TestProtocols_Timeout(t *testing.T) {
	plain, _ := stockServer(t)
	client, err := geerpc.XDial("rpc@" + plain)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Call(ctx, "StockArith.Add", StockArgs{1, 2}, new(int)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var sum int
	if err := client.Call(t.Context(), "StockArith.Add", StockArgs{1, 2}, &sum); err != nil || sum != 3 {
		t.Errorf("%d, %v", sum, err)
	}
}

// A user's protocol is served by what it begins with, and spoken by a client.
func TestProtocols_OfAUser(t *testing.T) {
	mine := &geerpc.Protocol{Name: "mine", Begins: []string{"\x80MINE"}}
	mine.ServerCodec, mine.ClientCodec = withOpening("\x80MINE")
	server := &geerpc.Server{Protocols: append(geerpc.AllProtocols(), mine)}
	server.Register(StockArith{})
	lis := geerpc.NewPipeListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }() // ends with the test
	defer func() { server.Close(); <-served }()
	for _, opt := range []*geerpc.Option{{Protocol: mine, Dialer: lis.DialContext}, {Dialer: lis.DialContext}} {
		client, err := geerpc.Dial("pipe", "", opt)
		if err != nil {
			t.Fatal(err)
		}
		var sum int
		if err := client.Call(t.Context(), "StockArith.Add", StockArgs{1, 2}, &sum); err != nil || sum != 3 {
			t.Errorf("%d, %v", sum, err)
		}
		client.Close()
	}
}

// Serve refuses protocols that could be taken for each other, or can't be served.
func TestProtocols_Ambiguous(t *testing.T) {
	named := func(begins ...string) *geerpc.Protocol {
		return &geerpc.Protocol{Name: fmt.Sprint(begins), Begins: begins, ServerCodec: codec.NewGobCodec}
	}
	for name, c := range map[string]struct {
		protocols []*geerpc.Protocol
		want      string
	}{
		"HTTP":        {append(geerpc.AllProtocols(), named("GIVE")), "so may a built-in one"},
		"gob":         {append(geerpc.AllProtocols(), named("\x01\x7f")), "so may a built-in one"},
		"a byte only": {append(geerpc.AllProtocols(), named("\x01")), "so may a built-in one"},
		"each other":  {append(geerpc.AllProtocols(), named("\x80A"), named("\x80")), "both begin with"},
		"too long":    {append(geerpc.AllProtocols(), named("\x80 12345678")), "1 to 8 bytes"},
		"nothing":     {append(geerpc.AllProtocols(), named("")), "1 to 8 bytes"},
		"no codec":    {append(geerpc.AllProtocols(), &geerpc.Protocol{Begins: []string{"\x80"}}), "needs Begins and a ServerCodec"},
		"no Begins":   {append(geerpc.AllProtocols(), named()), "needs Begins and a ServerCodec"},
		"a client's":  {append(geerpc.AllProtocols(), geerpc.JSONRPC1), "needs Begins and a ServerCodec"},
		"nil":         {append(geerpc.AllProtocols(), nil), "is nil"},
		"none":        {append(geerpc.AllProtocols(), named("\x80A"), named("\x80B", "\x00")), ""},
		"HTTP is off": {[]*geerpc.Protocol{geerpc.GeeRPC, named("GIVE")}, ""},
		"gob is off":  {[]*geerpc.Protocol{geerpc.GeeRPC, named("G", "\x01")}, ""},
		"JSON is on":  {[]*geerpc.Protocol{geerpc.GeeRPC, named("{")}, "so may a built-in one"},
		"a letter":    {[]*geerpc.Protocol{geerpc.HTTP, named("G")}, "so may a built-in one"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &geerpc.Server{Protocols: c.protocols}
			server.Close()
			err := server.Serve(geerpc.NewPipeListener())
			if ok := errors.Is(err, geerpc.ErrServerClosed); ok != (c.want == "") || !ok && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// withOpening returns codecs like that of gob, with an opening in front that the client
// sends and the server skips.
func withOpening(opening string) (server, client codec.NewCodecFunc) {
	return func(conn io.ReadWriteCloser) codec.Codec {
			return codec.NewGobCodec(&openedConn{ReadWriteCloser: conn, skip: len(opening)})
		}, func(conn io.ReadWriteCloser) codec.Codec {
			return codec.NewGobCodec(&openedConn{ReadWriteCloser: conn, say: opening})
		}
}

// An openedConn sends or skips an opening before anything else.
type openedConn struct {
	io.ReadWriteCloser
	skip int
	say  string
}

func (c *openedConn) Read(p []byte) (int, error) {
	for ; c.skip > 0; c.skip-- {
		if _, err := io.ReadFull(c.ReadWriteCloser, make([]byte, 1)); err != nil {
			return 0, err
		}
	}
	return c.ReadWriteCloser.Read(p)
}

func (c *openedConn) Write(p []byte) (int, error) {
	said := c.say
	c.say = ""
	n, err := c.ReadWriteCloser.Write(append([]byte(said), p...))
	return max(n-len(said), 0), err
}

// DialHTTPPath heeds the Option, also where "no limit" differs from what is left out.
func TestProtocols_DialHTTPPathOption(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	geerpc.RegisterFunc(e.Server, "Big.Reply", func(context.Context, int) ([]byte, error) {
		return make([]byte, geerpc.DefaultMaxMessageBytes+1), nil
	})
	e.start()
	client, err := geerpc.DialHTTPPath("tcp", e.lis.Addr().String(), "/path", &geerpc.Option{MaxMessageBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var reply []byte
	if err := client.Call(t.Context(), "Big.Reply", 0, &reply); err != nil {
		t.Error(err)
	}
}
