package main

import (
	"context"
	"net"

	"github.com/smallnest/rpcx/client"
	"github.com/smallnest/rpcx/log"
	"github.com/smallnest/rpcx/server"
)

func init() { log.SetDummyLogger() }

func rpcxDefault() library {
	return library{
		name: "rpcx", note: "MessagePack, default settings",
		serve: func(lis net.Listener) error {
			s := server.NewServer()
			if err := s.RegisterName("Work", rpcxWork{}, ""); err != nil {
				return err
			}
			return s.ServeListener("tcp", lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			c := client.NewClient(client.DefaultOption)
			return rpcxConn{c}, c.Connect("tcp", addr)
		},
	}
}

// rpcxWork is the service, with the contexts that rpcx asks for.
type rpcxWork struct{}

// Add adds.
func (rpcxWork) Add(_ context.Context, args *Args, reply *Reply) error {
	return Work{}.Add(*args, reply)
}

// Echo returns what it was given.
func (rpcxWork) Echo(_ context.Context, args *Bytes, reply *Bytes) error {
	return Work{}.Echo(*args, reply)
}

// Place returns the order that it was given.
func (rpcxWork) Place(_ context.Context, args *Order, reply *Order) error {
	return Work{}.Place(*args, reply)
}

type rpcxConn struct{ *client.Client }

func (c rpcxConn) caller() caller {
	return &methodCaller{
		call: func(method string, args, reply any) error {
			return c.Call(background, "Work", method[len("Work."):], args, reply)
		},
		inTime: func(args *Args, reply *Reply) error {
			return withDeadline(func(ctx context.Context) error { return c.Call(ctx, "Work", "Add", args, reply) })
		},
	}
}
