package test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"geerpc"
	"geerpc/codec"
)

// Point is the argument and the reply of typed methods.
type Point struct{ X, Y int }

// Typed functions and handles work with every kind of type, pointers included.
func TestTyped_Calls(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(geerpc.RegisterFunc(e.Server, "Geo.Mirror", func(_ context.Context, p Point) (Point, error) { return Point{p.Y, p.X}, nil }))
		must(geerpc.RegisterFunc(e.Server, "Geo.Pointers", func(_ context.Context, p *Point) (*Point, error) { return &Point{p.Y, p.X}, nil }))
		must(geerpc.RegisterFunc(e.Server, "Geo.Strings", func(_ context.Context, s []string) (map[string]int, error) {
			m := map[string]int{}
			for i, s := range s {
				m[s] = i
			}
			return m, nil
		}))
		must(geerpc.RegisterFunc(e.Server, "Geo.Fail", func(context.Context, int) (int, error) { return 7, geerpc.Errorf(geerpc.CodeNotFound, "no %d%%", 5) }))
		must(geerpc.RegisterFunc(e.Server, "Arith.Double", func(_ context.Context, n int) (int, error) { return 2 * n, nil }))
		client, ctx := e.dial(nil), context.Background()

		if p, err := geerpc.Method[Point, Point]("Geo.Mirror")(ctx, client, Point{1, 2}); err != nil || p != (Point{2, 1}) {
			t.Errorf("Mirror: %v, %v", p, err)
		}
		if p, err := geerpc.Method[*Point, *Point]("Geo.Pointers")(ctx, client, &Point{1, 2}); err != nil || p == nil || *p != (Point{2, 1}) {
			t.Errorf("Pointers: %v, %v", p, err)
		}
		if m, err := geerpc.Method[[]string, map[string]int]("Geo.Strings")(ctx, client, []string{"a", "b"}); err != nil || len(m) != 2 || m["b"] != 1 {
			t.Errorf("Strings: %v, %v", m, err)
		}
		n, err := geerpc.Method[int, int]("Geo.Fail")(ctx, client, 1)
		if n != 0 || geerpc.CodeOf(err) != geerpc.CodeNotFound || err.Error() != "no 5%" {
			t.Errorf("Fail: %d, %v", n, err)
		}
		// A function stands beside a value's methods, and old callers reach it.
		if n, err := geerpc.Method[int, int]("Arith.Double")(ctx, client, 21); err != nil || n != 42 {
			t.Errorf("Double: %d, %v", n, err)
		}
		var reply Reply
		if err := client.Call(ctx, "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
			t.Errorf("Add: %d, %v", reply.C, err)
		}
	})
}

// What can't be registered says why, and leaves nothing behind.
func TestTyped_Registration(t *testing.T) {
	f := func(context.Context, Args) (Reply, error) { return Reply{}, nil }
	s := geerpc.NewServer()
	if err := geerpc.RegisterFunc(s, "A.B", f); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		f    func(context.Context, Args) (Reply, error)
		want string
	}{
		{"A.B", f, "already defined"}, {"", f, "not of the form"}, {"A.", f, "not of the form"},
		{".B", f, "not of the form"}, {"A.C", nil, "is nil"},
	}
	for _, test := range tests {
		if err := geerpc.RegisterFunc(s, test.name, test.f); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("RegisterFunc(%q) = %v, want %q", test.name, err, test.want)
		}
	}
	if err := s.RegisterName("A", new(Arith)); err != nil {
		t.Errorf("a value beside functions: %v", err)
	}
	if err := s.RegisterName("A", new(Arith)); err == nil || !strings.Contains(err.Error(), "already defined") {
		t.Errorf("a second value: %v", err)
	}
	if err := geerpc.RegisterFunc(s, "A.Add", f); err == nil {
		t.Error("a method was replaced by a function")
	}
	if err := geerpc.RegisterFunc(s, "A.C", f); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

// A wrong type is an error of that call, on either side.
func TestTyped_WrongTypes(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "pipe", c)
			client, ctx := e.dial(nil), context.Background()
			_, err := geerpc.Method[string, Reply]("Arith.Add")(ctx, client, "text")
			wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InServer, geerpc.RanNever)
			_, err = geerpc.Method[Args, string]("Arith.Add")(ctx, client, Args{1, 2})
			wantError(t, err, geerpc.CodeInternal, geerpc.InClient, geerpc.RanYes)
			if r, err := geerpc.Method[Args, Reply]("Arith.Add")(ctx, client, Args{1, 2}); err != nil || r.C != 3 {
				t.Errorf("the next call: %v, %v", r, err)
			}
		})
	}
}

// A typed handle takes any Caller, which is how policies are tested.
func TestTyped_AnyCaller(t *testing.T) {
	boom := errors.New("boom")
	caller := callerFunc(func(_ context.Context, m string, args, reply any) error {
		if m != "T.M" || args != (Args{1, 2}) {
			return boom
		}
		reply.(*Reply).C = 3
		return nil
	})
	if r, err := geerpc.Method[Args, Reply]("T.M")(context.Background(), caller, Args{1, 2}); err != nil || r.C != 3 {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := geerpc.Method[Args, Reply]("T.N")(context.Background(), caller, Args{}); err != boom {
		t.Errorf("%v, want %v", err, boom)
	}
}

type callerFunc geerpc.CallFunc

func (f callerFunc) Call(ctx context.Context, m string, args, reply any) error {
	return f(ctx, m, args, reply)
}

// Base has a method to be promoted.
type Base struct{}

// Promoted is callable on whatever embeds Base.
func (Base) Promoted(args Args, reply *Reply) error { reply.C = args.A; return nil }

// Outer has a method of each kind.
type Outer struct{ Base }

// Public is callable.
func (Outer) Public(args Args, reply *Reply) error { reply.C = args.B; return nil }

func (Outer) private(args Args, reply *Reply) error { panic("called from outside") }

// E49: what is callable, and what an allow-list leaves of it.
func TestE49_WhatIsCallable(t *testing.T) {
	_ = Outer.private // it is there
	lists := map[string][]string{"all": nil, "narrowed": {"Public"}, "promoted only": {"Promoted"}}
	callable := map[string]map[string]bool{
		"all": {"Public": true, "Promoted": true}, "narrowed": {"Public": true}, "promoted only": {"Promoted": true},
	}
	for name, list := range lists {
		for _, c := range codecs {
			t.Run(name+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, "pipe", c)
				if err := e.RegisterName("Outer", Outer{}, list...); err != nil {
					t.Fatal(err)
				}
				client := e.dial(nil)
				for _, m := range []string{"Public", "Promoted", "private", "public", "Base", "Base.Promoted", "", "String", "Register"} {
					err := client.Call(context.Background(), "Outer."+m, Args{1, 2}, new(Reply))
					if callable[name][m] {
						if err != nil {
							t.Errorf("%s: %v", m, err)
						}
						continue
					}
					wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
				}
			})
		}
	}
	for _, list := range [][]string{{"private"}, {"Public", "Nope"}, {""}} {
		if err := geerpc.NewServer().RegisterName("Outer", Outer{}, list...); err == nil {
			t.Errorf("a list with a method that is none, %q, was accepted", list)
		}
	}
}

// E50: any name will do for a service, and is called by it.
func TestE50_ServiceNames(t *testing.T) {
	for _, c := range []codec.Type{codec.GobType, codec.JsonType, framedJSON} {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			names := []string{"acme.v1.Arith", "acme/v1/Arith", "<script>alert(1)</script>", "mit Leerzeichen", "ünï", "a\"b\\c", "..", "Arith.Add"}
			for _, name := range names {
				if err := e.RegisterName(name, new(Arith)); err != nil {
					t.Fatal(err)
				}
			}
			client := e.dial(nil)
			for i, name := range names {
				var reply Reply
				if err := client.Call(context.Background(), name+".Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
					t.Errorf("%s: %d, %v", name, reply.C, err)
				}
				wantError(t, client.Call(context.Background(), name+".Nope", Args{}, nil), geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
			}
		})
	}
}
