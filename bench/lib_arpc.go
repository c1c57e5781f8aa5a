package main

import (
	"context"
	"net"
	"time"

	"github.com/lesismal/arpc"
	"github.com/lesismal/arpc/log"
)

func init() { log.SetLevel(log.LevelNone) }

// arpcDefault runs arpc as it comes.
func arpcDefault() library {
	return library{
		name: "arpc", note: "JSON, default settings",
		serve: func(lis net.Listener) error {
			server := arpc.NewServer()
			server.Handler.Handle("Work.Add", func(ctx *arpc.Context) {
				var args Args
				var reply Reply
				if err := ctx.Bind(&args); err != nil {
					ctx.Error(err)
					return
				}
				Work{}.Add(args, &reply)
				ctx.Write(&reply)
			})
			server.Handler.Handle("Work.Echo", func(ctx *arpc.Context) {
				var args, reply Bytes
				if err := ctx.Bind(&args); err != nil {
					ctx.Error(err)
					return
				}
				Work{}.Echo(args, &reply)
				ctx.Write(&reply)
			})
			server.Handler.Handle("Work.Place", func(ctx *arpc.Context) {
				var args, reply Order
				if err := ctx.Bind(&args); err != nil {
					ctx.Error(err)
					return
				}
				Work{}.Place(args, &reply)
				ctx.Write(&reply)
			})
			return server.Serve(lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := dialARPC(addr, 0)
			return arpcConn{client}, err
		},
	}
}

// arpcRaw runs arpc without a serializer.
func arpcRaw() library {
	return library{
		name: "arpc-raw", note: "raw bytes, default settings", only: simple,
		serve: func(lis net.Listener) error { return serveRawARPC(lis, 0, true) },
		dial: func(addr string, _ int) (conn, error) {
			client, err := dialARPC(addr, 0)
			return arpcRawConn{client}, err
		},
	}
}

// arpcBuffer is a send buffer, with which arpc writes many messages at once.
const arpcBuffer = 64 << 10

// arpcBest runs arpc as fast as it goes: handlers run in the loop that reads,
// where a slow one blocks its connection.
func arpcBest() library {
	return library{
		name: "arpc-best", note: "raw bytes, send buffer, handlers inline", only: simple,
		serve: func(lis net.Listener) error { return serveRawARPC(lis, arpcBuffer, false) },
		dial: func(addr string, _ int) (conn, error) {
			client, err := dialARPC(addr, arpcBuffer)
			return arpcRawConn{client}, err
		},
	}
}

func serveRawARPC(lis net.Listener, sendBufferBytes int, async bool) error {
	server := arpc.NewServer()
	server.Handler.SetSendBufferSize(sendBufferBytes)
	server.Handler.Handle("Work.Add", func(ctx *arpc.Context) {
		reply, err := appendSum(nil, ctx.Body())
		if err != nil {
			ctx.Error(err)
			return
		}
		ctx.Write(reply)
	}, async)
	server.Handler.Handle("Work.Echo", func(ctx *arpc.Context) {
		ctx.Write(ctx.Body())
	}, async)
	return server.Serve(lis)
}

func dialARPC(addr string, sendBufferBytes int) (*arpc.Client, error) {
	handler := arpc.NewHandler()
	handler.SetSendBufferSize(sendBufferBytes)
	return arpc.NewClient(func() (net.Conn, error) { return net.Dial("tcp", addr) }, handler)
}

// arpcTimeout is far away: arpc has no calls without one.
const arpcTimeout = time.Minute

type arpcConn struct{ *arpc.Client }

func (c arpcConn) caller() caller {
	return &methodCaller{
		call: func(method string, args, reply any) error { return c.Call(method, args, reply, arpcTimeout) },
		inTime: func(args *Args, reply *Reply) error {
			return withDeadline(func(ctx context.Context) error { return c.CallContext(ctx, "Work.Add", args, reply) })
		},
	}
}

func (c arpcConn) Close() error {
	c.Stop()
	return nil
}

type arpcRawConn struct{ *arpc.Client }

func (c arpcRawConn) caller() caller { return &arpcRawCaller{client: c.Client} }

func (c arpcRawConn) Close() error {
	c.Stop()
	return nil
}

type arpcRawCaller struct {
	client *arpc.Client
	args   []byte
}

func (c *arpcRawCaller) add(a, b int) (int, error) {
	c.args = putArgs(c.args[:0], a, b)
	var reply []byte
	if err := c.client.Call("Work.Add", c.args, &reply, arpcTimeout); err != nil {
		return 0, err
	}
	return getSum(reply)
}

func (c *arpcRawCaller) addInTime(a, b int) (int, error) {
	c.args = putArgs(c.args[:0], a, b)
	var reply []byte
	if err := withDeadline(func(ctx context.Context) error {
		return c.client.CallContext(ctx, "Work.Add", c.args, &reply)
	}); err != nil {
		return 0, err
	}
	return getSum(reply)
}

func (c *arpcRawCaller) echo(data []byte) ([]byte, error) {
	var reply []byte
	err := c.client.Call("Work.Echo", data, &reply, arpcTimeout)
	return reply, err
}
