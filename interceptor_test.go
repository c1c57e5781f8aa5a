package geerpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"geerpc/codec"
)

// A trail is what interceptors have seen, in order.
type trail struct {
	mu   sync.Mutex // guards seen
	seen []string
}

func (tr *trail) add(format string, a ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.seen = append(tr.seen, fmt.Sprintf(format, a...))
}

func (tr *trail) take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	seen := tr.seen
	tr.seen = nil
	return seen
}

// interceptor notes what goes in and what comes out.
func (tr *trail) interceptor(name string) Interceptor {
	return func(next CallFunc) CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			tr.add("%s> %s %T %T", name, serviceMethod, args, reply)
			err := next(ctx, serviceMethod, args, reply)
			tr.add("%s< %v", name, CodeOf(err))
			return err
		}
	}
}

// The first interceptor is the outermost, types are kept, and a method that
// does not exist has one name.
func TestInterceptors_OrderAndTypes(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		var client, server trail
		e.Interceptors = []Interceptor{server.interceptor("x"), server.interceptor("y")}
		c := e.dial(&Option{Interceptors: []Interceptor{client.interceptor("a"), client.interceptor("b")}})
		ctx := context.Background()
		tests := []struct {
			name           string
			method         string
			args           any
			client, server []string
		}{
			{"value", "Arith.Add", Args{1, 2},
				[]string{"a> Arith.Add geerpc.Args *geerpc.Reply", "b> Arith.Add geerpc.Args *geerpc.Reply", "b< ok", "a< ok"},
				[]string{"x> Arith.Add geerpc.Args *geerpc.Reply", "y> Arith.Add geerpc.Args *geerpc.Reply", "y< ok", "x< ok"}},
			{"pointer", "Arith.Div", Args{4, 2},
				[]string{"a> Arith.Div geerpc.Args *geerpc.Reply", "b> Arith.Div geerpc.Args *geerpc.Reply", "b< ok", "a< ok"},
				[]string{"x> Arith.Div *geerpc.Args *geerpc.Reply", "y> Arith.Div *geerpc.Args *geerpc.Reply", "y< ok", "x< ok"}},
			{"unknown", "Arith.\"}label{", &Args{},
				[]string{"a> Arith.\"}label{ *geerpc.Args *geerpc.Reply", "b> Arith.\"}label{ *geerpc.Args *geerpc.Reply", "b< ", "a< "},
				[]string{"x> unknown <nil> <nil>", "y> unknown <nil> <nil>", "y< not found", "x< not found"}},
		}
		for _, test := range tests {
			err := c.Call(ctx, test.method, test.args, new(Reply))
			for i, s := range test.client { // plain layouts have no codes
				if s == "b< " || s == "a< " {
					test.client[i] += CodeOf(err).String()
				}
			}
			if got := client.take(); !slices.Equal(got, test.client) {
				t.Errorf("%s, client: %q\nwant %q", test.name, got, test.client)
			}
			if got := server.take(); !slices.Equal(got, test.server) {
				t.Errorf("%s, server: %q\nwant %q", test.name, got, test.server)
			}
		}
	})
}

// 72: interceptors of a server that never call next, call it twice, or end in
// a way of their own. Whatever they do, the call is answered and the process
// and the connection live on.
func TestG72_ServerInterceptors(t *testing.T) {
	var ran atomic.Int32
	tests := []struct {
		name   string
		method string
		f      func(ctx context.Context, next CallFunc, serviceMethod string, args, reply any) error
		code   Code
		reply  int
		ran    int32
	}{
		{"never calls next", "Test.Run", func(context.Context, CallFunc, string, any, any) error { return nil }, CodeOK, 0, 0},
		{"answers itself", "Test.Run", func(_ context.Context, _ CallFunc, _ string, _, reply any) error {
			reply.(*Reply).C = 7
			return nil
		}, CodeOK, 7, 0},
		{"never calls next of an unknown method", "Test.Nope", func(context.Context, CallFunc, string, any, any) error { return nil }, CodeNotFound, 0, 0},
		{"calls next twice", "Test.Run", func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			return errors.Join(next(ctx, m, args, reply), next(ctx, m, args, reply))
		}, CodeOK, 42, 2},
		{"calls next of an unknown method twice", "Nope.Nope", func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			next(ctx, m, args, reply)
			return next(ctx, m, args, reply)
		}, CodeNotFound, 0, 0},
		{"panics before", "Test.Run", func(context.Context, CallFunc, string, any, any) error { panic("before") }, CodeInternal, 0, 0},
		{"panics for an unknown method", "Nope", func(context.Context, CallFunc, string, any, any) error { panic("before") }, CodeInternal, 0, 0},
		{"panics after", "Test.Run", func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			next(ctx, m, args, reply)
			panic("after")
		}, CodeInternal, 0, 1},
		{"ends its goroutine", "Test.Run", func(context.Context, CallFunc, string, any, any) error {
			runtime.Goexit()
			return nil
		}, CodeInternal, 0, 0},
		{"passes the wrong types", "Test.Run", func(ctx context.Context, next CallFunc, m string, _, _ any) error {
			return next(ctx, m, "args", "reply")
		}, CodeInternal, 0, 0},
		{"passes nothing at all", "Test.Run", func(_ context.Context, next CallFunc, m string, _, _ any) error {
			return next(nil, m, nil, nil)
		}, CodeInternal, 0, 0},
		{"adds a code", "Test.Run", func(context.Context, CallFunc, string, any, any) error {
			return Errorf(CodePermissionDenied, "no")
		}, CodePermissionDenied, 0, 0},
	}
	for _, test := range tests {
		for _, c := range codecs {
			t.Run(test.name+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, "pipe", c)
				ran.Store(0)
				RegisterFunc(e.Server, "Test.Run", func(context.Context, Args) (Reply, error) {
					ran.Add(1)
					return Reply{42}, nil
				})
				e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
					if m == "Arith.Add" {
						return next(ctx, m, args, reply)
					}
					return test.f(ctx, next, m, args, reply)
				})}
				client := e.dial(nil)
				var reply Reply
				err := client.Call(context.Background(), test.method, Args{}, &reply)
				if CodeOf(err) != test.code || reply.C != test.reply || ran.Load() != test.ran {
					t.Errorf("reply is %d, the method ran %d times; want %d, %d: %v, %v", reply.C, ran.Load(), test.reply, test.ran, CodeOf(err), err)
				}
				if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
					t.Errorf("the next call: %d, %v", reply.C, err)
				}
			})
		}
	}
}

// 72: interceptors of a client do what they do in the caller's goroutine; with
// Go, which has none, a panic is the call's error.
func TestG72_ClientInterceptors(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	client := e.dial(&Option{Interceptors: []Interceptor{intercept(
		func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			switch m {
			case "never":
				return nil
			case "twice":
				return errors.Join(next(ctx, "Arith.Add", args, reply), next(ctx, "Arith.Add", args, reply))
			case "panic":
				panic("out of tea")
			case "goexit":
				runtime.Goexit()
			case "own":
				return Errorf(CodeAborted, "own")
			}
			return next(ctx, m, args, reply)
		})}})
	tests := []struct {
		method string
		code   Code
		reply  int
	}{
		{"never", CodeOK, 0}, {"twice", CodeOK, 3}, {"own", CodeAborted, 0}, {"Arith.Add", CodeOK, 3},
		{"panic", CodeInternal, 0}, {"goexit", CodeInternal, 0},
	}
	for _, test := range tests {
		t.Run(test.method, func(t *testing.T) {
			var reply Reply
			call := client.Go(test.method, Args{1, 2}, &reply, nil)
			if <-call.Done; CodeOf(call.Error) != test.code || reply.C != test.reply {
				t.Errorf("Go: %d, %v", reply.C, call.Error)
			}
			if test.code == CodeInternal {
				return // of a Call, that is the caller's to see
			}
			reply.C = 0
			if err := client.Call(context.Background(), test.method, Args{1, 2}, &reply); CodeOf(err) != test.code || reply.C != test.reply {
				t.Errorf("Call: %d, %v", reply.C, err)
			}
		})
	}
	t.Run("a Call panics in its caller", func(t *testing.T) {
		defer func() {
			if p := recover(); p != "out of tea" {
				t.Errorf("recovered %v", p)
			}
		}()
		client.Call(context.Background(), "panic", Args{}, nil)
	})
}

// Interceptors see the call's context: its metadata, its peer, its deadline.
func TestInterceptors_Context(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	seen := make(chan string, 1)
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
		peer, ok := PeerFrom(ctx)
		_, deadline := ctx.Deadline()
		seen <- fmt.Sprint(m, MetadataFrom(ctx)["k"], ok && peer.Addr != nil, deadline)
		return next(ctx, m, args, reply)
	})}
	client := e.dial(nil)
	ctx, cancel := context.WithTimeout(WithMetadata(context.Background(), Metadata{"k": "v"}), 1<<40)
	defer cancel()
	for _, m := range []string{"Arith.Add", "Arith.Nope"} {
		client.Call(ctx, m, Args{}, nil)
		want := m + "vtrue true"
		if m == "Arith.Nope" {
			want = UnknownMethod + "vtrue true"
		}
		if got := <-seen; got != want {
			t.Errorf("%s: interceptor sees %q, want %q", m, got, want)
		}
	}
}

// A method that panics returns to the interceptors as any other that fails.
func TestInterceptors_Panic(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	var tr trail
	e.Interceptors = []Interceptor{tr.interceptor("a")}
	err := e.dial(nil).Call(context.Background(), "Arith.Panic", Args{}, nil)
	wantError(t, err, CodeInternal, InMethod, RanYes)
	if seen := tr.take(); len(seen) != 2 || seen[1] != "a< internal" {
		t.Errorf("seen: %q", seen)
	}
}

// TestInterceptors_NilArgs has interceptors pass on arguments that are nil,
// because the method's argument is an interface and the client sent nothing.
func TestInterceptors_NilArgs(t *testing.T) {
	e := newEnv(t, "pipe", codec.JsonType)
	e.Interceptors = []Interceptor{func(next CallFunc) CallFunc { return next }}
	if err := e.RegisterName("Value", Anything{}); err != nil {
		t.Fatal(err)
	}
	if err := RegisterFunc(e.Server, "Func.IsNil", func(_ context.Context, v any) (bool, error) { return v == nil, nil }); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	for _, method := range []string{"Value.IsNil", "Func.IsNil"} {
		for _, args := range []any{nil, "something"} {
			var isNil bool
			if err := client.Call(context.Background(), method, args, &isNil); err != nil || isNil != (args == nil) {
				t.Errorf("%s of %v: %v, %v", method, args, isNil, err)
			}
		}
	}
}

// Anything has a method that takes anything.
type Anything struct{}

func (Anything) IsNil(v any, reply *bool) error { *reply = v == nil; return nil }

// TestInterceptors_Nil has interceptors that are nil. A client leaves them out,
// and those around them stay; a server refuses, for they may have been to
// authorize calls.
func TestInterceptors_Nil(t *testing.T) {
	var client, server trail
	e := newEnv(t, "pipe", codec.GobType)
	e.Interceptors = []Interceptor{server.interceptor("x")}
	c := e.dial(&Option{Interceptors: []Interceptor{nil, client.interceptor("a"), nil}})
	for method, code := range map[string]Code{"Arith.Add": CodeOK, "Arith.Nope": CodeNotFound} {
		if err := c.Call(context.Background(), method, Args{}, nil); CodeOf(err) != code {
			t.Errorf("Call of %s: %v", method, err)
		}
		if call := <-c.Go(method, Args{}, nil, nil).Done; CodeOf(call.Error) != code {
			t.Errorf("Go of %s: %v", method, call.Error)
		}
		if c, s := client.take(), server.take(); len(c) != 4 || len(s) != 4 {
			t.Errorf("two calls of %s: the client's sees %q, the server's %q", method, c, s)
		}
	}
	e = newEnv(t, "pipe", codec.GobType)
	mustAdd(t, e.dial(&Option{Interceptors: []Interceptor{nil}}))
	e = newEnv(t, "pipe", codec.GobType)
	e.Interceptors = []Interceptor{server.interceptor("x"), nil}
	c = e.dial(nil)
	for method, code := range map[string]Code{"Arith.Add": CodeInternal, "Arith.Nope": CodeNotFound} {
		for range 2 {
			if err := c.Call(context.Background(), method, Args{}, nil); CodeOf(err) != code {
				t.Errorf("%s of a server with a nil interceptor: %v", method, err)
			}
		}
	}
}

// TestInterceptors_BrokenOne has an interceptor that panics when it is to wrap
// a method. A sync.Once has done its work even if that panicked: the second
// call must not find a method without interceptors.
func TestInterceptors_BrokenOne(t *testing.T) {
	deny := intercept(func(context.Context, CallFunc, string, any, any) error {
		return Errorf(CodePermissionDenied, "not for you")
	})
	for name, broken := range map[string]Interceptor{
		"panic":  func(CallFunc) CallFunc { panic("out of tea") },
		"goexit": func(CallFunc) CallFunc { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", codec.GobType)
			e.Interceptors = []Interceptor{deny, broken}
			client := e.dial(nil)
			for i := range 3 {
				if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); CodeOf(err) != CodeInternal {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
}

// What an interceptor returns tells a client whether the method ran, whatever
// it says itself: a retry depends on it.
func TestInterceptors_WhetherItRan(t *testing.T) {
	elsewhere := &Error{Code: CodeUnavailable, Message: "another call", Where: InClient, Ran: RanNever}
	cases := []struct {
		name      string
		intercept Interceptor
		where     Where
		ran       Ran
		code      Code
	}{
		{"its own error before", intercept(func(context.Context, CallFunc, string, any, any) error {
			return &Error{Code: CodePermissionDenied, Message: "no", Where: InMethod, Ran: RanYes}
		}), InServer, RanNever, CodePermissionDenied},
		{"a plain error before", intercept(func(context.Context, CallFunc, string, any, any) error {
			return errors.New("no")
		}), InServer, RanNever, CodeUnknown},
		{"another call's error behind", intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
			next(ctx, m, args, reply)
			return elsewhere
		}), InMethod, RanYes, CodeUnavailable},
		{"a foreign context", intercept(func(_ context.Context, next CallFunc, m string, args, reply any) error {
			return next(context.Background(), m, args, reply)
		}), InServer, RanNever, CodeUnknown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "pipe", framedJSON)
			e.Interceptors = []Interceptor{c.intercept}
			wantError(t, e.dial(nil).Call(t.Context(), "Arith.Add", Args{}, nil), c.code, c.where, c.ran)
		})
	}
}

// TestInterceptors_ReturnNil has an interceptor return nil in place of what it
// wraps. On a server no method runs, not even without interceptors.
func TestInterceptors_ReturnNil(t *testing.T) {
	gone := func(CallFunc) CallFunc { return nil }
	pass := func(next CallFunc) CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			return next(ctx, serviceMethod, args, reply)
		}
	}
	for name, interceptors := range map[string][]Interceptor{"alone": {gone}, "outermost": {gone, pass}, "innermost": {pass, gone}} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", "")
			ours := e.dial(&Option{Interceptors: interceptors})
			wantError(t, ours.Call(context.Background(), "Arith.Add", Args{1, 1}, nil), CodeInternal, InClient, RanNever)
			call := <-ours.Go("Arith.Add", Args{1, 1}, nil, nil).Done
			wantError(t, call.Error, CodeInternal, InClient, RanNever)
			theirs := newEnv(t, "pipe", "")
			theirs.Interceptors = interceptors
			client := theirs.dial(nil)
			for range 2 {
				wantError(t, client.Call(context.Background(), "Arith.Add", Args{1, 1}, nil), CodeInternal, InServer, RanNever)
			}
			wantError(t, client.Call(context.Background(), "Arith.Nothing", Args{1, 1}, nil), CodeInternal, InServer, RanNever)
		})
	}
}
