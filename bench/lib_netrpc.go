package main

import (
	"context"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"time"
)

func netRPC() library {
	return library{
		name: "netrpc", note: "net/rpc, gob",
		serve: func(lis net.Listener) error {
			server := rpc.NewServer()
			if err := server.Register(Work{}); err != nil {
				return err
			}
			server.Accept(lis)
			return nil
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := rpc.Dial("tcp", addr)
			return netConn{client}, err
		},
	}
}

func netJSONRPC() library {
	return library{
		name: "netrpc-json", note: "net/rpc/jsonrpc",
		serve: func(lis net.Listener) error {
			server := rpc.NewServer()
			if err := server.Register(Work{}); err != nil {
				return err
			}
			for {
				conn, err := lis.Accept()
				if err != nil {
					return err
				}
				go server.ServeCodec(jsonrpc.NewServerCodec(conn))
			}
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := jsonrpc.Dial("tcp", addr)
			return netConn{client}, err
		},
	}
}

type netConn struct{ *rpc.Client }

func (c netConn) caller() caller {
	return &methodCaller{
		call:   func(method string, args, reply any) error { return c.Call(method, args, reply) },
		inTime: c.addInTime,
	}
}

// addInTime does what net/rpc's users do who want an answer in time.
func (c netConn) addInTime(args *Args, reply *Reply) error {
	call := c.Go("Work.Add", args, reply, make(chan *rpc.Call, 1))
	timer := time.NewTimer(callTimeout)
	defer timer.Stop()
	select {
	case <-call.Done:
		return call.Error
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// A methodCaller is the caller of libraries that take any args and reply.
type methodCaller struct {
	call   func(method string, args, reply any) error
	inTime func(args *Args, reply *Reply) error
	args   Args
	reply  Reply
	bytes  Bytes
	sent   *Order
}

func (c *methodCaller) add(a, b int) (int, error) {
	c.args, c.reply = Args{a, b}, Reply{}
	err := c.call("Work.Add", &c.args, &c.reply)
	return c.reply.C, err
}

func (c *methodCaller) addInTime(a, b int) (int, error) {
	c.args, c.reply = Args{a, b}, Reply{}
	err := c.inTime(&c.args, &c.reply)
	return c.reply.C, err
}

func (c *methodCaller) echo(data []byte) ([]byte, error) {
	c.bytes.Data = data
	var reply Bytes
	err := c.call("Work.Echo", &c.bytes, &reply)
	return reply.Data, err
}

func (c *methodCaller) order(n int) error {
	if c.sent == nil {
		c.sent = newOrder()
	}
	c.sent.ID = int64(n)
	var got Order
	if err := c.call("Work.Place", c.sent, &got); err != nil {
		return err
	}
	return got.compare(c.sent)
}
