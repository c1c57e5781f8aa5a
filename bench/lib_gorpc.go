package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/gorpc"
)

func init() {
	gorpc.RegisterType(&Args{})
	gorpc.RegisterType(&Reply{})
	gorpc.RegisterType(&Bytes{})
	gorpc.RegisterType(&Order{})
	gorpc.SetErrorLogger(gorpc.NilErrorLogger)
}

// gorpcDefault runs gorpc as it comes: named functions, compressed.
func gorpcDefault() library {
	return library{
		name: "gorpc", note: "gob, default settings (compresses)",
		serve: func(lis net.Listener) error {
			return serveGorpc(lis, gorpcFuncs().NewHandlerFunc())
		},
		dial: func(addr string, _ int) (conn, error) {
			client := dialGorpc(addr, false)
			funcs := gorpcFuncs().NewFuncClient(client)
			return gorpcConn{client, funcs.Call, funcs.CallTimeout}, nil
		},
	}
}

// gorpcBest runs gorpc as fast as it goes: no compression, and one handler
// that switches on the type in place of named functions.
func gorpcBest() library {
	return library{
		name: "gorpc-best", note: "gob, no compression, no named functions",
		serve: func(lis net.Listener) error {
			return serveGorpc(lis, func(_ string, request any) any {
				switch args := request.(type) {
				case *Args:
					return &Reply{args.A + args.B}
				case *Bytes:
					return &Bytes{args.Data}
				case *Order:
					return args
				}
				return nil
			})
		},
		dial: func(addr string, _ int) (conn, error) {
			client := dialGorpc(addr, true)
			return gorpcConn{
				client: client,
				call:   func(_ string, args any) (any, error) { return client.Call(args) },
				inTime: func(_ string, args any, timeout time.Duration) (any, error) {
					return client.CallTimeout(args, timeout)
				},
			}, nil
		},
	}
}

// gorpcFuncs makes the dispatcher, once: gorpc notes the types of functions in
// a place that is not guarded.
var gorpcFuncs = sync.OnceValue(func() *gorpc.Dispatcher {
	d := gorpc.NewDispatcher()
	d.AddFunc("Add", func(args *Args) *Reply { return &Reply{args.A + args.B} })
	d.AddFunc("Echo", func(args *Bytes) *Bytes { return &Bytes{args.Data} })
	d.AddFunc("Place", func(args *Order) *Order { return args })
	return d
})

func serveGorpc(lis net.Listener, handler gorpc.HandlerFunc) error {
	return (&gorpc.Server{Handler: handler, Listener: gorpcListener{lis}}).Serve()
}

// A gorpcListener gives gorpc a listener that is there already.
type gorpcListener struct{ net.Listener }

func (gorpcListener) Init(string) error      { return nil }
func (l gorpcListener) ListenAddr() net.Addr { return l.Addr() }

func (l gorpcListener) Accept() (io.ReadWriteCloser, string, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, "", err
	}
	return conn, conn.RemoteAddr().String(), nil
}

func dialGorpc(addr string, disableCompression bool) *gorpc.Client {
	client := gorpc.NewTCPClient(addr)
	client.DisableCompression = disableCompression
	client.Start()
	return client
}

type gorpcConn struct {
	client *gorpc.Client
	call   func(name string, args any) (any, error)
	inTime func(name string, args any, timeout time.Duration) (any, error)
}

func (c gorpcConn) caller() caller { return &gorpcCaller{gorpcConn: c} }

func (c gorpcConn) Close() error {
	c.client.Stop()
	return nil
}

type gorpcCaller struct {
	gorpcConn
	args  Args
	bytes Bytes
	sent  *Order
}

func (c *gorpcCaller) add(a, b int) (int, error) {
	c.args = Args{a, b}
	return gorpcSum(c.call("Add", &c.args))
}

func (c *gorpcCaller) addInTime(a, b int) (int, error) {
	c.args = Args{a, b}
	return gorpcSum(c.inTime("Add", &c.args, callTimeout))
}

func gorpcSum(got any, err error) (int, error) {
	reply, ok := got.(*Reply)
	if err == nil && !ok {
		err = fmt.Errorf("a reply of type %T", got)
	}
	if err != nil {
		return 0, err
	}
	return reply.C, nil
}

func (c *gorpcCaller) echo(data []byte) ([]byte, error) {
	c.bytes.Data = data
	got, err := c.call("Echo", &c.bytes)
	reply, ok := got.(*Bytes)
	if err == nil && !ok {
		err = fmt.Errorf("a reply of type %T", got)
	}
	if err != nil {
		return nil, err
	}
	return reply.Data, nil
}

func (c *gorpcCaller) order(n int) error {
	if c.sent == nil {
		c.sent = newOrder()
	}
	c.sent.ID = int64(n)
	got, err := c.call("Place", c.sent)
	reply, ok := got.(*Order)
	if err == nil && !ok {
		err = fmt.Errorf("a reply of type %T", got)
	}
	if err != nil {
		return err
	}
	return reply.compare(c.sent)
}
