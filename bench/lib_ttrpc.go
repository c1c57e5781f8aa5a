package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"

	"geerpc/bench/internal/pb"
)

func ttrpcDefault() library {
	return library{
		name: "ttrpc", note: "protobuf, default settings",
		serve: func(lis net.Listener) error {
			server, err := ttrpc.NewServer()
			if err != nil {
				return err
			}
			server.Register("bench.Work", ttrpcMethods)
			return server.Serve(background, lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return ttrpcConn{ttrpc.NewClient(c)}, nil
		},
	}
}

var ttrpcMethods = map[string]ttrpc.Method{
	"Add": func(ctx context.Context, decode func(any) error) (any, error) {
		args := new(pb.AddArgs)
		if err := decode(args); err != nil {
			return nil, err
		}
		return protoWork{}.add(ctx, args)
	},
	"AddInTime": func(ctx context.Context, decode func(any) error) (any, error) {
		args := new(pb.AddArgs)
		if err := decode(args); err != nil {
			return nil, err
		}
		return protoWork{}.addInTime(ctx, args)
	},
	"Echo": func(ctx context.Context, decode func(any) error) (any, error) {
		args := new(pb.Bytes)
		if err := decode(args); err != nil {
			return nil, err
		}
		return protoWork{}.echo(ctx, args)
	},
	"Place": func(ctx context.Context, decode func(any) error) (any, error) {
		args := new(pb.Order)
		if err := decode(args); err != nil {
			return nil, err
		}
		return protoWork{}.place(ctx, args)
	},
}

type ttrpcConn struct{ *ttrpc.Client }

func (c ttrpcConn) caller() caller {
	return &protoCaller{
		addName: "Add", timedName: "AddInTime", echoName: "Echo", placeName: "Place",
		call: func(ctx context.Context, method string, args, reply any) error {
			return c.Call(ctx, "bench.Work", method, args, reply)
		},
	}
}
