package main

import (
	"context"
	"io"
	"net"
	"time"

	"github.com/cloudwego/kitex/client"
	"github.com/cloudwego/kitex/pkg/connpool"
	"github.com/cloudwego/kitex/pkg/klog"
	"github.com/cloudwego/kitex/server"

	"geerpc/bench/internal/kitex_gen/bench"
	"geerpc/bench/internal/kitex_gen/bench/work"
)

func init() { klog.SetOutput(io.Discard) }

// kitexMux runs kitex on multiplexed connections, as the other libraries run.
func kitexMux() library {
	return library{
		name: "kitex", note: "thrift, multiplexed connection",
		serve: func(lis net.Listener) error { return serveKitex(lis, server.WithMuxTransport()) },
		dial: func(addr string, _ int) (conn, error) {
			return dialKitex(addr, client.WithMuxConnection(1))
		},
		writesUncounted: true,
	}
}

// kitexPool runs kitex with its pool, where each call in flight has a
// connection to itself: compare its rows for many callers with care.
func kitexPool() library {
	return library{
		name: "kitex-pool", note: "thrift, a connection for each caller",
		serve: func(lis net.Listener) error { return serveKitex(lis) },
		dial: func(addr string, callers int) (conn, error) {
			return dialKitex(addr, client.WithConnectTimeout(10*time.Second), // 50 ms are too few for 1,024 at once
				client.WithLongConnection(connpool.IdleConfig{
					MaxIdlePerAddress: callers, MaxIdleGlobal: callers, MaxIdleTimeout: time.Minute,
				}))
		},
		writesUncounted: true,
	}
}

func serveKitex(lis net.Listener, opts ...server.Option) error {
	if counting, ok := lis.(*countingListener); ok {
		lis = counting.TCPListener // kitex wants to know its listener's type
	}
	opts = append(opts, server.WithListener(lis), server.WithExitSignal(func() <-chan error { return nil }))
	return work.NewServer(&kitexWork{}, opts...).Run()
}

func dialKitex(addr string, opts ...client.Option) (conn, error) {
	c, err := work.NewClient("bench", append(opts, client.WithHostPorts(addr))...)
	return kitexConn{c}, err
}

type kitexWork struct{}

func (kitexWork) Add(_ context.Context, args *bench.AddArgs_) (*bench.AddReply, error) {
	return &bench.AddReply{C: args.A + args.B}, nil
}

func (kitexWork) Echo(_ context.Context, args *bench.Bytes) (*bench.Bytes, error) {
	return &bench.Bytes{Data: args.Data}, nil
}

func (kitexWork) Place(_ context.Context, args *bench.Order) (*bench.Order, error) { return args, nil }

type kitexConn struct{ work.Client }

func (c kitexConn) caller() caller { return &kitexCaller{client: c.Client} }

// Close does nothing: a kitex client that multiplexes can't be closed.
func (kitexConn) Close() error { return nil }

type kitexCaller struct {
	client work.Client
	args   bench.AddArgs_
	bytes  bench.Bytes
	sent   *bench.Order
}

func (c *kitexCaller) add(a, b int) (int, error) {
	c.args.A, c.args.B = int64(a), int64(b)
	reply, err := c.client.Add(background, &c.args)
	if err != nil {
		return 0, err
	}
	return int(reply.C), nil
}

func (c *kitexCaller) addInTime(a, b int) (sum int, err error) {
	c.args.A, c.args.B = int64(a), int64(b)
	err = withDeadline(func(ctx context.Context) error {
		reply, err := c.client.Add(ctx, &c.args)
		if err == nil {
			sum = int(reply.C)
		}
		return err
	})
	return sum, err
}

func (c *kitexCaller) echo(data []byte) ([]byte, error) {
	c.bytes.Data = data
	reply, err := c.client.Echo(background, &c.bytes)
	if err != nil {
		return nil, err
	}
	return reply.Data, nil
}

func (c *kitexCaller) order(n int) error {
	if c.sent == nil {
		c.sent = thriftOrder()
	}
	c.sent.Id = int64(n)
	got, err := c.client.Place(background, c.sent)
	if err != nil {
		return err
	}
	last := len(c.sent.Lines) - 1
	return errOrder(got.Id == c.sent.Id, got.At == c.sent.At, got.Paid, len(got.Notes) == len(c.sent.Notes),
		len(got.Lines) > last && got.Lines[last].Sku == c.sent.Lines[last].Sku && len(got.Lines[last].Tags) == 2,
		got.Customer != nil && got.Customer.Address.Country == c.sent.Customer.Address.Country)
}

// thriftOrder is newOrder for thrift.
func thriftOrder() *bench.Order {
	o := newOrder()
	to := o.Customer.Address
	sent := &bench.Order{
		At: o.At.UnixNano(), Notes: o.Notes, Paid: o.Paid,
		Customer: &bench.Customer{
			Name: o.Customer.Name, Email: o.Customer.Email,
			Address: &bench.Address{Street: to.Street, City: to.City, Zip: to.Zip, Country: to.Country},
		},
	}
	for _, l := range o.Lines {
		sent.Lines = append(sent.Lines, &bench.Line{Sku: l.SKU, Qty: int64(l.Qty), Price: l.Price, Tags: l.Tags})
	}
	return sent
}
