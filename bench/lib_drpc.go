package main

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/protobuf/proto"
	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"geerpc/bench/internal/pb"
)

// drpcDefault runs drpc. A connection of it makes one call at a time; the
// others wait their turn.
func drpcDefault() library {
	return library{
		name: "drpc", note: "protobuf, one call at a time on a connection",
		serve: func(lis net.Listener) error {
			mux := drpcmux.New()
			if err := mux.Register(drpcWork{}, drpcDesc{}); err != nil {
				return err
			}
			return drpcserver.New(mux).Serve(background, lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return nil, err
			}
			return drpcConn{drpcconn.New(c)}, nil
		},
	}
}

// drpcWork has the methods by exported names, which drpc's mux looks at.
type drpcWork struct{ protoWork }

func (w drpcWork) Add(ctx context.Context, args *pb.AddArgs) (*pb.AddReply, error) {
	return w.add(ctx, args)
}

func (w drpcWork) Echo(ctx context.Context, args *pb.Bytes) (*pb.Bytes, error) {
	return w.echo(ctx, args)
}

func (w drpcWork) Place(ctx context.Context, args *pb.Order) (*pb.Order, error) {
	return w.place(ctx, args)
}

// drpcDesc is what drpc's plugin of the protobuf compiler would write.
type drpcDesc struct{}

func (drpcDesc) NumMethods() int { return 3 }

func (drpcDesc) Method(n int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	switch n {
	case 0:
		return "/bench.Work/Add", drpcProto{}, func(srv any, ctx context.Context, in, _ any) (drpc.Message, error) {
			return srv.(drpcWork).Add(ctx, in.(*pb.AddArgs))
		}, drpcWork.Add, true
	case 1:
		return "/bench.Work/Echo", drpcProto{}, func(srv any, ctx context.Context, in, _ any) (drpc.Message, error) {
			return srv.(drpcWork).Echo(ctx, in.(*pb.Bytes))
		}, drpcWork.Echo, true
	case 2:
		return "/bench.Work/Place", drpcProto{}, func(srv any, ctx context.Context, in, _ any) (drpc.Message, error) {
			return srv.(drpcWork).Place(ctx, in.(*pb.Order))
		}, drpcWork.Place, true
	}
	return "", nil, nil, nil, false
}

// drpcProto is protobuf, as drpc's plugin sets it up.
type drpcProto struct{}

func (drpcProto) Marshal(msg drpc.Message) ([]byte, error) {
	return proto.Marshal(msg.(proto.Message))
}

func (drpcProto) MarshalAppend(buf []byte, msg drpc.Message) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(buf, msg.(proto.Message))
}

func (drpcProto) Unmarshal(buf []byte, msg drpc.Message) error {
	m, ok := msg.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", msg)
	}
	return proto.Unmarshal(buf, m)
}

type drpcConn struct{ *drpcconn.Conn }

func (c drpcConn) caller() caller {
	return &protoCaller{
		addName: "/bench.Work/Add", timedName: "/bench.Work/Add", // the server does not hear of deadlines
		echoName: "/bench.Work/Echo", placeName: "/bench.Work/Place",
		call: func(ctx context.Context, method string, args, reply any) error {
			return c.Invoke(ctx, method, drpcProto{}, args, reply)
		},
	}
}
