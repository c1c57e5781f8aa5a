package geerpc

import (
	"context"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"

	"geerpc/codec"
)

// A Msg stands for the messages of protocol buffers, whose pointer codes itself.
type Msg struct{ N int64 }

// msgType is a codec that takes *Msg and nothing else, as proto.Marshal does.
const msgType codec.Type = "test/msg"

func init() {
	codec.Register(msgType, codec.Framed(func(v any) ([]byte, error) {
		switch m := v.(type) {
		case *Msg:
			if m == nil {
				return nil, nil
			}
			return binary.AppendVarint(nil, m.N), nil
		}
		return nil, fmt.Errorf("a %T is no message", v)
	}, func(data []byte, v any) error {
		m, ok := v.(*Msg)
		if !ok {
			return fmt.Errorf("a %T is no message", v)
		}
		*m = Msg{}
		if len(data) > 0 {
			m.N, _ = binary.Varint(data)
		}
		return nil
	}))
}

// Pointers has methods that reply with pointers, and take pointers to them.
type Pointers struct{}

// Next replies with n + 1; with nil for 41.
func (Pointers) Next(n *Msg, reply **Msg) error {
	if n.N != 41 {
		*reply = &Msg{n.N + 1}
	}
	return nil
}

// Deep is Next with more pointers than anybody needs.
func (Pointers) Deep(n ***Msg, reply ****Msg) error {
	next := new(*Msg)
	*reply = &next
	return Pointers{}.Next(**n, next)
}

// NextInt is Next for numbers of any size.
func (Pointers) NextInt(n *big.Int, reply **big.Int) error {
	if n.Cmp(big.NewInt(41)) != 0 {
		*reply = new(big.Int).Add(n, big.NewInt(1))
	}
	return nil
}

// A namedPointer is a pointer type with a name.
type namedPointer *Msg

// registerPointers offers Pointers, and the same as functions.
func registerPointers(t *testing.T, s *Server) {
	t.Helper()
	next := func(_ context.Context, n *Msg) (reply *Msg, err error) { return reply, Pointers{}.Next(n, &reply) }
	err := errors.Join(s.Register(Pointers{}),
		RegisterFunc(s, "Func.Next", next),
		RegisterFunc(s, "Func.Named", func(ctx context.Context, n namedPointer) (namedPointer, error) { return next(ctx, n) }),
		RegisterFunc(s, "Func.Deep", func(ctx context.Context, n **Msg) (***Msg, error) {
			reply, err := next(ctx, *n)
			inner := &reply
			return &inner, err
		}),
		RegisterFunc(s, "Func.Fail", func(context.Context, *Msg) (*Msg, error) { return &Msg{7}, errors.New("no") }),
		RegisterFunc(s, "Func.NextInt", func(_ context.Context, n *big.Int) (reply *big.Int, err error) {
			return reply, Pointers{}.NextInt(n, &reply)
		}))
	if err != nil {
		t.Fatal(err)
	}
}

// types is an interceptor that notes the types of what passes.
func (tr *trail) types(next CallFunc) CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		tr.add("%s %T %T", serviceMethod, args, reply)
		return next(ctx, serviceMethod, args, reply)
	}
}

// eachPointers runs f over every codec, those of the user's own included, with
// and without server interceptors.
func eachPointers(t *testing.T, f func(t *testing.T, e *env)) {
	for _, c := range []codec.Type{codec.GobType, codec.JsonType, framedJSON, msgType, wholeType} {
		for _, intercepted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c, intercepted), func(t *testing.T) {
				e := newEnv(t, "tcp", c)
				if intercepted {
					e.Interceptors = []Interceptor{new(trail).types}
				}
				registerPointers(t, e.Server)
				f(t, e)
			})
		}
	}
}

// TestC103_Messages: what replies with a pointer, and takes one, gives it to
// the codec as it is. A nil pointer is the zero value, either way.
func TestC103_Messages(t *testing.T) {
	eachPointers(t, func(t *testing.T, e *env) {
		client, ctx := e.dial(nil), context.Background()
		for _, name := range []string{"Func.Next", "Pointers.Next", "Func.Deep", "Pointers.Deep", "Func.Named"} {
			next := Method[*Msg, *Msg](name)
			for n, want := range map[int64]int64{1: 2, -1: 0, 1 << 40: 1<<40 + 1, 41: 0} {
				if m, err := next(ctx, client, &Msg{n}); err != nil || m == nil || m.N != want {
					t.Errorf("%s(%d) = %+v, %v, want %d", name, n, m, err, want)
				}
				reply := Msg{99}
				if want == 0 && client.opt.CodecType != msgType {
					reply.N = 0 // gob does not send it, and null leaves what is there
				}
				if err := client.Call(ctx, name, &Msg{n}, &reply); err != nil || reply.N != want {
					t.Errorf("%s(%d) = %+v, %v, want %d", name, n, reply, err, want)
				}
			}
			if m, err := next(ctx, client, nil); err != nil || m == nil || m.N != 1 {
				t.Errorf("%s(nil) = %+v, %v, want 1", name, m, err)
			}
		}
		if m, err := Method[*Msg, *Msg]("Func.Fail")(ctx, client, &Msg{1}); m != nil || err == nil || err.Error() != "no" {
			t.Errorf("a call that fails returned %v, %v", m, err)
		}
		if m, err := Method[namedPointer, namedPointer]("Func.Named")(ctx, client, &Msg{1}); err != nil || m == nil || m.N != 2 {
			t.Errorf("named: %v, %v", m, err)
		}
		if m, err := Method[**Msg, ***Msg]("Func.Deep")(ctx, client, nil); err != nil || m == nil || (**m).N != 1 {
			t.Errorf("deep: %v, %v", m, err)
		}
	})
}

// TestC103_BigInt is a type whose pointer codes itself, for gob and JSON.
func TestC103_BigInt(t *testing.T) {
	huge, _ := new(big.Int).SetString(strings.Repeat("9", 100), 10)
	eachPointers(t, func(t *testing.T, e *env) {
		client, ctx := e.dial(nil), context.Background()
		if client.opt.CodecType == msgType {
			return // which takes no numbers
		}
		for _, name := range []string{"Func.NextInt", "Pointers.NextInt"} {
			next := Method[*big.Int, *big.Int](name)
			for _, n := range []*big.Int{big.NewInt(1), big.NewInt(-1), huge} {
				want := new(big.Int).Add(n, big.NewInt(1))
				if m, err := next(ctx, client, n); err != nil || m == nil || m.Cmp(want) != 0 {
					t.Errorf("%s(%d) = %d, %v, want %d", name, n, m, err, want)
				}
				if client.opt.CodecType == wholeType {
					continue // package gob itself would have panicked
				}
				if m, err := Method[big.Int, big.Int](name)(ctx, client, *n); err != nil || m.Cmp(want) != 0 {
					t.Errorf("%s(%d) = %d by value, %v, want %d", name, n, &m, err, want)
				}
			}
			for _, n := range []*big.Int{big.NewInt(41), nil} { // replied to with nil, and with 1
				want := int64(0)
				if n == nil {
					want = 1
				}
				if m, err := next(ctx, client, n); err != nil || m == nil || m.Int64() != want {
					t.Errorf("%s(%d) = %d, %v, want %d", name, n, m, err, want)
				}
			}
		}
	})
}

// TestC103_WhatInterceptorsSee are the types that the method has.
func TestC103_WhatInterceptorsSee(t *testing.T) {
	e := newEnv(t, "pipe", msgType)
	tr := new(trail)
	e.Interceptors = []Interceptor{tr.types}
	registerPointers(t, e.Server)
	client := e.dial(nil)
	for _, name := range []string{"Func.Next", "Pointers.Next", "Func.Deep", "Pointers.Deep", "Func.Named"} {
		if _, err := Method[*Msg, *Msg](name)(context.Background(), client, &Msg{1}); err != nil {
			t.Error(err)
		}
	}
	want := []string{"Func.Next *geerpc.Msg **geerpc.Msg", "Pointers.Next *geerpc.Msg **geerpc.Msg", "Func.Deep **geerpc.Msg ****geerpc.Msg",
		"Pointers.Deep ***geerpc.Msg ****geerpc.Msg", "Func.Named geerpc.namedPointer *geerpc.namedPointer"}
	if got := tr.take(); !reflect.DeepEqual(got, want) {
		t.Errorf("seen %q, want %q", got, want)
	}
}

// TestC103_NothingIsCarriedOver: calls are used again, and their values with
// them. A nil that follows another reply must not be that one.
func TestC103_NothingIsCarriedOver(t *testing.T) {
	eachPointers(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				next := Method[*Msg, *Msg]([]string{"Func.Next", "Pointers.Next"}[g%2])
				for i := range int64(300) {
					n, want := 1000*int64(g+1)+i, 1000*int64(g+1)+i+1
					if i%3 == 0 {
						n, want = 41, 0
					}
					if m, err := next(context.Background(), client, &Msg{n}); err != nil || m.N != want {
						t.Errorf("%d: %+v, %v, want %d", n, m, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// A Shape is an interface with methods, and a Square what may be in it.
type (
	Shape  interface{ Area() int }
	Square struct{ Side int }
)

// Area makes a Square a Shape.
func (s Square) Area() int { return s.Side * s.Side }

func init() { gob.Register(Square{}) }

// Interfaces has methods with interfaces.
type Interfaces struct{}

// Echo replies with its argument.
func (Interfaces) Echo(v any, reply *any) error { *reply = v; return nil }

// Double replies with a Shape of twice the side.
func (Interfaces) Double(s Shape, reply *Shape) error {
	*reply = Square{2 * s.(Square).Side}
	return nil
}

func registerInterfaces(t *testing.T, s *Server) {
	t.Helper()
	err := errors.Join(s.Register(Interfaces{}),
		RegisterFunc(s, "Func.Echo", func(_ context.Context, v any) (any, error) { return v, nil }),
		RegisterFunc(s, "Func.Double", func(_ context.Context, v Shape) (reply Shape, err error) {
			return reply, Interfaces{}.Double(v, &reply)
		}))
	if err != nil {
		t.Fatal(err)
	}
}

// TestC134_Any: an interface passes with the type of what is in it over gob,
// and as what JSON knows.
func TestC134_Any(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		registerInterfaces(t, e.Server)
		client, ctx := e.dial(nil), context.Background()
		square := any(map[string]any{"Side": 2.0})
		if e.codec == codec.GobType {
			square = Square{2}
		}
		for _, name := range []string{"Func.Echo", "Interfaces.Echo"} {
			for _, c := range []struct{ args, want any }{{Square{2}, square}, {&Square{2}, square}, {"text", "text"}, {1.5, 1.5}, {nil, nil}, {Square{2}, square}} {
				if v, err := Method[any, any](name)(ctx, client, c.args); err != nil || !reflect.DeepEqual(v, c.want) {
					t.Errorf("%s(%v) = %v, %v, want %v", name, c.args, v, err, c.want)
				}
				var v any
				if err := client.Call(ctx, name, &c.args, &v); err != nil || !reflect.DeepEqual(v, c.want) {
					t.Errorf("%s(%v) = %v, %v, want %v", name, c.args, v, err, c.want)
				}
			}
		}
	})
}

// TestC134_WithMethods: over gob an interface with methods passes as well. JSON
// can't be decoded into one, which both sides say before the method runs.
func TestC134_WithMethods(t *testing.T) {
	for _, c := range []codec.Type{codec.GobType, codec.JsonType, framedJSON, wholeType} {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			registerInterfaces(t, e.Server)
			client, ctx := e.dial(nil), context.Background()
			for _, name := range []string{"Func.Double", "Interfaces.Double"} {
				v, err := Method[Shape, Shape](name)(ctx, client, Square{2})
				switch c {
				case codec.JsonType:
					wantError(t, err, CodeInvalidArgument, InClient, RanNever)
				case framedJSON:
					wantError(t, err, CodeInvalidArgument, InServer, RanNever)
				default:
					if err != nil || v != (Square{4}) {
						t.Errorf("%s = %v, %v", name, v, err)
					}
					continue
				}
				if text := err.Error(); !strings.Contains(text, "interface") || !strings.Contains(text, "any") {
					t.Errorf("it does not say what to do: %s", text)
				}
				_, err = Method[Square, int](name)(ctx, client, Square{2})
				wantError(t, err, CodeInvalidArgument, InServer, RanNever)
			}
		})
	}
}

// TestC134_NoPointerToTheInterface: what comes without one over gob has lost
// that it is in an interface.
func TestC134_NoPointerToTheInterface(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	registerInterfaces(t, e.Server)
	client, ctx := e.dial(nil), context.Background()
	err := client.Call(ctx, "Func.Echo", Square{2}, nil)
	wantError(t, err, CodeInvalidArgument, InServer, RanNever)
	if !strings.Contains(err.Error(), "over gob, pass a pointer to one") {
		t.Errorf("it does not say what to do: %v", err)
	}
	type unregistered struct{ N int }
	_, err = Method[any, any]("Func.Echo")(ctx, client, unregistered{1})
	wantError(t, err, CodeInvalidArgument, InClient, RanNever)
	if v, err := Method[any, any]("Func.Echo")(ctx, client, Square{2}); err != nil || v != (Square{2}) {
		t.Errorf("afterwards: %v, %v", v, err)
	}
}
