package main

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"geerpc/bench/internal/pb"
)

func grpcDefault() library {
	return library{
		name: "grpc", note: "protobuf, default settings",
		serve: func(lis net.Listener) error {
			server := grpc.NewServer()
			server.RegisterService(&grpcDesc, protoWork{})
			return server.Serve(lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			return grpcConn{client}, err
		},
	}
}

// protoWork is the service, for the libraries that speak protobuf.
type protoWork struct{}

func (protoWork) add(_ context.Context, args *pb.AddArgs) (*pb.AddReply, error) {
	return &pb.AddReply{C: args.A + args.B}, nil
}

func (w protoWork) addInTime(ctx context.Context, args *pb.AddArgs) (*pb.AddReply, error) {
	if err := ended(ctx); err != nil {
		return nil, err
	}
	return w.add(ctx, args)
}

func (protoWork) echo(_ context.Context, args *pb.Bytes) (*pb.Bytes, error) {
	return &pb.Bytes{Data: args.Data}, nil
}

func (protoWork) place(_ context.Context, args *pb.Order) (*pb.Order, error) { return args, nil }

// grpcDesc is what the gRPC plugin of the protobuf compiler would write, less
// the interceptors that nobody here has.
var grpcDesc = grpc.ServiceDesc{
	ServiceName: "bench.Work",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Add", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			args := new(pb.AddArgs)
			if err := decode(args); err != nil {
				return nil, err
			}
			return protoWork{}.add(ctx, args)
		}},
		{MethodName: "AddInTime", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			args := new(pb.AddArgs)
			if err := decode(args); err != nil {
				return nil, err
			}
			return protoWork{}.addInTime(ctx, args)
		}},
		{MethodName: "Echo", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			args := new(pb.Bytes)
			if err := decode(args); err != nil {
				return nil, err
			}
			return protoWork{}.echo(ctx, args)
		}},
		{MethodName: "Place", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			args := new(pb.Order)
			if err := decode(args); err != nil {
				return nil, err
			}
			return protoWork{}.place(ctx, args)
		}},
	},
}

type grpcConn struct{ *grpc.ClientConn }

func (c grpcConn) caller() caller {
	return &protoCaller{
		addName: "/bench.Work/Add", timedName: "/bench.Work/AddInTime",
		echoName: "/bench.Work/Echo", placeName: "/bench.Work/Place",
		call: func(ctx context.Context, method string, args, reply any) error {
			return c.Invoke(ctx, method, args, reply)
		},
	}
}

// A protoCaller is the caller of libraries that speak protobuf.
type protoCaller struct {
	addName, timedName, echoName, placeName string
	call                                    func(ctx context.Context, method string, args, reply any) error
	args                                    pb.AddArgs
	reply                                   pb.AddReply
	bytes                                   pb.Bytes
	sent                                    *pb.Order
}

func (c *protoCaller) add(a, b int) (int, error) {
	c.args.A, c.args.B, c.reply.C = int64(a), int64(b), 0
	err := c.call(background, c.addName, &c.args, &c.reply)
	return int(c.reply.C), err
}

func (c *protoCaller) addInTime(a, b int) (int, error) {
	c.args.A, c.args.B, c.reply.C = int64(a), int64(b), 0
	err := withDeadline(func(ctx context.Context) error { return c.call(ctx, c.timedName, &c.args, &c.reply) })
	return int(c.reply.C), err
}

func (c *protoCaller) echo(data []byte) ([]byte, error) {
	c.bytes.Data = data
	var reply pb.Bytes
	err := c.call(background, c.echoName, &c.bytes, &reply)
	return reply.Data, err
}

func (c *protoCaller) order(n int) error {
	if c.sent == nil {
		c.sent = protoOrder()
	}
	c.sent.Id = int64(n)
	var got pb.Order
	if err := c.call(background, c.placeName, c.sent, &got); err != nil {
		return err
	}
	last := len(c.sent.Lines) - 1
	return errOrder(got.Id == c.sent.Id, got.At == c.sent.At, got.Paid, len(got.Notes) == len(c.sent.Notes),
		len(got.Lines) > last && got.Lines[last].Sku == c.sent.Lines[last].Sku && len(got.Lines[last].Tags) == 2,
		got.Customer.GetAddress().GetCountry() == c.sent.Customer.Address.Country)
}

// protoOrder is newOrder for protobuf.
func protoOrder() *pb.Order {
	o := newOrder()
	to := o.Customer.Address
	sent := &pb.Order{
		At: o.At.UnixNano(), Notes: o.Notes, Paid: o.Paid,
		Customer: &pb.Customer{
			Name: o.Customer.Name, Email: o.Customer.Email,
			Address: &pb.Address{Street: to.Street, City: to.City, Zip: to.Zip, Country: to.Country},
		},
	}
	for _, l := range o.Lines {
		sent.Lines = append(sent.Lines, &pb.Line{Sku: l.SKU, Qty: int64(l.Qty), Price: l.Price, Tags: l.Tags})
	}
	return sent
}
