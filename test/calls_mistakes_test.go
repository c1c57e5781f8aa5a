package test

import (
	"context"
	"strings"
	"testing"

	"geerpc"
)

// A nil context is the caller's mistake, and no reason to panic.
func TestC170_NilContext(t *testing.T) {
	e := newEnv(t, "tcp", "")
	c := e.dial(nil)
	withNil := e.dial(&geerpc.Option{Interceptors: []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(_ context.Context, serviceMethod string, args, reply any) error {
			return next(nil, serviceMethod, args, reply)
		}
	}}})
	var none context.Context
	for name, f := range map[string]func() error{
		"Call":         func() error { return c.Call(none, "Arith.Add", Args{}, nil) },
		"interceptor":  func() error { return withNil.Call(t.Context(), "Arith.Add", Args{}, nil) },
		"Method":       func() error { _, err := geerpc.Method[Args, Reply]("Arith.Add")(none, c, Args{}); return err },
		"Ping":         func() error { return c.Ping(none) },
		"Shutdown":     func() error { return c.Shutdown(none) },
		"DialContext":  func() error { _, err := geerpc.DialContext(none, "tcp", "127.0.0.1:1"); return err },
		"XDialContext": func() error { _, err := geerpc.XDialContext(none, "tcp@127.0.0.1:1"); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := f()
			wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
			if !strings.Contains(err.Error(), "nil context; use context.Background()") {
				t.Error(err)
			}
		})
	}
	mustAdd(t, c)
}

// An address with a path says where the path goes.
func TestC170_AddressWithAPath(t *testing.T) {
	for _, addr := range []string{"http@localhost:80/rpc", "https@[::1]:443/rpc", "http@localhost:80/"} {
		_, err := geerpc.XDial(addr)
		wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
		if !strings.Contains(err.Error(), "Option.HTTPPath") {
			t.Error(err)
		}
	}
}
