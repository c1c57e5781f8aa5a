package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"geerpc"
	"geerpc/codec"
)

func geeGob() library { return geeWith("geerpc", "gob, default settings", codec.GobType) }

func geeJSON() library { return geeWith("geerpc-json", "JSON, default settings", codec.JsonType) }

func geeWith(name, note string, codecType codec.Type) library {
	return library{
		name: name, note: note,
		serve: func(lis net.Listener) error {
			server := geerpc.NewServer()
			if err := server.RegisterName("Work", TimedWork{}); err != nil {
				return err
			}
			return server.Serve(lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := geerpc.Dial("tcp", addr, &geerpc.Option{CodecType: codecType})
			return geeConn{client}, err
		},
	}
}

type geeConn struct{ *geerpc.Client }

func (c geeConn) caller() caller {
	return &methodCaller{
		call: func(method string, args, reply any) error { return c.Call(background, method, args, reply) },
		inTime: func(args *Args, reply *Reply) error {
			return withDeadline(func(ctx context.Context) error { return c.Call(ctx, "Work.AddInTime", args, reply) })
		},
	}
}

// rawBytes is a codec whose bodies are the bytes that they are.
const rawBytes codec.Type = "application/octet-stream"

func init() {
	codec.Register(rawBytes, codec.Framed(
		func(v any) ([]byte, error) {
			switch v := v.(type) {
			case []byte:
				return v, nil
			case *[]byte:
				return *v, nil
			}
			return nil, fmt.Errorf("%T are no bytes", v)
		},
		func(data []byte, v any) error {
			dst, ok := v.(*[]byte)
			if !ok {
				return fmt.Errorf("%T is no pointer to bytes", v)
			}
			*dst = append((*dst)[:0], data...)
			return nil
		}))
}

func geeFramed() library {
	return library{
		name: "geerpc-framed", note: "codec.Framed, raw bytes", only: simple,
		serve: func(lis net.Listener) error {
			server := geerpc.NewServer()
			if err := errors.Join(
				geerpc.RegisterFunc(server, "Work.Add", func(_ context.Context, args []byte) ([]byte, error) {
					return appendSum(nil, args)
				}),
				geerpc.RegisterFunc(server, "Work.AddInTime", func(ctx context.Context, args []byte) ([]byte, error) {
					if err := ended(ctx); err != nil {
						return nil, err
					}
					return appendSum(nil, args)
				}),
				geerpc.RegisterFunc(server, "Work.Echo", func(_ context.Context, args []byte) ([]byte, error) {
					return args, nil
				}),
			); err != nil {
				return err
			}
			return server.Serve(lis)
		},
		dial: func(addr string, _ int) (conn, error) {
			client, err := geerpc.Dial("tcp", addr, &geerpc.Option{CodecType: rawBytes})
			return geeRawConn{client}, err
		},
	}
}

type geeRawConn struct{ *geerpc.Client }

func (c geeRawConn) caller() caller { return &geeRawCaller{client: c.Client} }

type geeRawCaller struct {
	client      *geerpc.Client
	args, reply []byte
}

func (c *geeRawCaller) add(a, b int) (int, error) {
	c.args, c.reply = putArgs(c.args[:0], a, b), c.reply[:0]
	if err := c.client.Call(background, "Work.Add", &c.args, &c.reply); err != nil {
		return 0, err
	}
	return getSum(c.reply)
}

func (c *geeRawCaller) addInTime(a, b int) (int, error) {
	c.args, c.reply = putArgs(c.args[:0], a, b), c.reply[:0]
	if err := withDeadline(func(ctx context.Context) error {
		return c.client.Call(ctx, "Work.AddInTime", &c.args, &c.reply)
	}); err != nil {
		return 0, err
	}
	return getSum(c.reply)
}

func (c *geeRawCaller) echo(data []byte) ([]byte, error) {
	c.args = data
	var reply []byte
	err := c.client.Call(background, "Work.Echo", &c.args, &reply)
	return reply, err
}
