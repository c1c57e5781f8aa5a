package test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/rpctest"
)

type hiddenArgs struct{ A int }

// Odd has methods of which only Good can be called.
type Odd struct{}

func (Odd) Good(int, *int) error                             { return nil }
func (Odd) GoodContext(context.Context, *Args, *Reply) error { return nil }
func (Odd) NoPointer(int, int) error                         { return nil }
func (Odd) HiddenArg(hiddenArgs, *int) error                 { return nil }
func (Odd) HiddenPointer(*hiddenArgs, *int) error            { return nil }
func (Odd) HiddenReply(int, *hiddenArgs) error               { return nil }
func (Odd) OneArg(int) error                                 { return nil }
func (Odd) NoError(int, *int)                                {}
func (Odd) TwoResults(int, *int) (int, error)                { return 0, nil }
func (Odd) ContextLast(int, *int, context.Context) error     { return nil }
func (Odd) ContextOnly(context.Context, *int) error          { return nil }
func (Odd) Chatty(*int, *int) string                         { return "" }
func (Odd) hidden(int, *int) error                           { return nil } //lint:ignore U1000 Register leaves it out

// OddOnly has no method that can be called, OnPointer one on its pointer only,
// None none at all; plainName is not exported; Promoting has a method of an
// embedded type that is not.
type (
	OddOnly   struct{}
	OnPointer struct{}
	None      struct{}
	plainName struct{}
	Promoting struct{ promoted }
	promoted  struct{}
)

func (OddOnly) NoPointer(int, int) error         { return nil }
func (OddOnly) HiddenArg(hiddenArgs, *int) error { return nil }
func (*OnPointer) Good(int, *int) error          { return nil }
func (plainName) Good(int, *int) error           { return nil }
func (promoted) Lifted(_ int, r *int) error      { *r = 7; return nil }

// TestA5_UnsuitableMethods checks that methods which could not be called
// safely are not callable, and that their neighbours are.
func TestA5_UnsuitableMethods(t *testing.T) {
	e := newEnv(t, "tcp", "application/gob")
	if err := e.Register(Odd{}); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	for _, name := range []string{"NoPointer", "HiddenArg", "HiddenPointer", "HiddenReply", "OneArg", "NoError", "TwoResults", "ContextLast", "ContextOnly", "Chatty", "hidden"} {
		err := client.Call(context.Background(), "Odd."+name, 1, nil)
		wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
	}
	if err := client.Call(context.Background(), "Odd.Good", 1, nil); err != nil {
		t.Error(err)
	}
	if err := client.Call(context.Background(), "Odd.GoodContext", Args{}, nil); err != nil {
		t.Error(err)
	}
}

// TestA6_RegistrationErrors checks that a registration which can't work says
// why.
func TestA6_RegistrationErrors(t *testing.T) {
	cases := []struct {
		name     string
		register func(s *geerpc.Server) error
		says     []string // nil is success
	}{
		{"nil", func(s *geerpc.Server) error { return s.Register(nil) }, []string{"nil"}},
		{"nil pointer works", func(s *geerpc.Server) error { return s.Register((*Arith)(nil)) }, nil},
		{"unexported type", func(s *geerpc.Server) error { return s.Register(plainName{}) }, []string{"plainName", "not exported", "RegisterName"}},
		{"unexported type under a name", func(s *geerpc.Server) error { return s.RegisterName("Plain", plainName{}) }, nil},
		{"unnamed type", func(s *geerpc.Server) error { return s.Register(struct{ Odd }{}) }, []string{"not exported", "RegisterName"}},
		{"pointer to pointer", func(s *geerpc.Server) error { p := new(Arith); return s.Register(&p) }, []string{"**test.Arith"}},
		{"no methods", func(s *geerpc.Server) error { return s.Register(None{}) }, []string{"None", "lacks methods of suitable type"}},
		{"methods on the pointer", func(s *geerpc.Server) error { return s.Register(OnPointer{}) }, []string{"OnPointer", "it has methods with a pointer receiver: register a *test.OnPointer"}},
		{"and the pointer", func(s *geerpc.Server) error { return s.Register(&OnPointer{}) }, nil},
		{"no suitable method", func(s *geerpc.Server) error { return s.Register(OddOnly{}) },
			[]string{"OddOnly", "NoPointer", "has the reply type int, which is not a pointer", "HiddenArg", "hiddenArgs, which is not exported"}},
		{"promoted", func(s *geerpc.Server) error { return s.Register(Promoting{}) }, nil},
		{"twice", func(s *geerpc.Server) error { s.Register(Odd{}); return s.Register(Odd{}) }, []string{"service already defined", "Odd"}},
		{"no name", func(s *geerpc.Server) error { return s.RegisterName("", Odd{}) }, []string{"name"}},
		{"allow-list", func(s *geerpc.Server) error { return s.RegisterName("Odd", Odd{}, "Good") }, nil},
		{"allow-list of an unsuitable one", func(s *geerpc.Server) error { return s.RegisterName("Odd", Odd{}, "Good", "NoPointer") },
			[]string{"service Odd: type test.Odd: method NoPointer has the reply type int, which is not a pointer"}},
		{"allow-list of an unknown one", func(s *geerpc.Server) error { return s.RegisterName("Odd", Odd{}, "Good", "Goood") }, []string{"service Odd: type test.Odd: method Goood does not exist"}},
		{"function without a dot", func(s *geerpc.Server) error { return geerpc.RegisterFunc(s, "good", double0) }, nil},
		{"function without a service", func(s *geerpc.Server) error { return geerpc.RegisterFunc(s, ".Good", double0) }, []string{`"Service.Method"`}},
		{"function of a channel", func(s *geerpc.Server) error {
			return geerpc.RegisterFunc(s, "F.Chan", func(context.Context, map[string][]chan int) (int, error) { return 0, nil })
		}, []string{"F.Chan", "no codec can carry the type chan int"}},
		{"function that replies with a function", func(s *geerpc.Server) error {
			return geerpc.RegisterFunc(s, "F.Func", func(context.Context, int) (*func(), error) { return nil, nil })
		}, []string{"F.Func", "no codec can carry the type func()"}},
		{"function of types with all sorts inside", func(s *geerpc.Server) error {
			type list []list
			return errors.Join(geerpc.RegisterFunc(s, "F.List", func(context.Context, list) (struct{ Done chan int }, error) { return struct{ Done chan int }{}, nil }),
				geerpc.RegisterFunc(s, "F.Coded", func(context.Context, *coded) (any, error) { return nil, nil }))
		}, nil},
		{"nil function", func(s *geerpc.Server) error { return geerpc.RegisterFunc[int, int](s, "F.Nil", nil) }, []string{"F.Nil", "nil"}},
		{"function twice", func(s *geerpc.Server) error {
			geerpc.RegisterFunc(s, "F.F", double0)
			return geerpc.RegisterFunc(s, "F.F", double0)
		}, []string{"already defined", "F.F"}},
		{"function beside methods", func(s *geerpc.Server) error { s.Register(Odd{}); return geerpc.RegisterFunc(s, "Odd.Double", double0) }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.register(geerpc.NewServer())
			if (err == nil) != (c.says == nil) {
				t.Fatalf("error is %v", err)
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error says %q, and not %q", err, text)
				}
			}
		})
	}
}

// A coded is a channel that encodes itself.
type coded chan int

func (coded) MarshalText() ([]byte, error) { return nil, nil }

func double0(_ context.Context, n int) (int, error) { return 2 * n, nil }

// TestE49_OnlyWhatIsOffered checks what can be called of what is registered.
func TestE49_OnlyWhatIsOffered(t *testing.T) {
	e := newEnv(t, "tcp", "application/json")
	err := errors.Join(e.Register(Promoting{}), e.RegisterName("Narrow", Odd{}, "Good"), geerpc.RegisterFunc(e.Server, "Odd.Double", double0),
		e.RegisterName("a.dotted/<name>", Odd{}))
	if err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	var n int
	if err := client.Call(context.Background(), "Promoting.Lifted", 1, &n); err != nil || n != 7 {
		t.Errorf("promoted: %d, %v", n, err)
	}
	if err := client.Call(context.Background(), "Odd.Double", 21, &n); err != nil || n != 42 {
		t.Errorf("function: %d, %v", n, err)
	}
	for _, good := range []string{"Narrow.Good", "a.dotted/<name>.Good"} {
		if err := client.Call(context.Background(), good, 1, nil); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"Narrow.GoodContext", "Odd.hidden", "Odd.Good", "Arith.", "arith.Add", "Arith.Add.", "Arith..Add"} {
		wantError(t, client.Call(context.Background(), bad, Args{}, nil), geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
	}
	for _, bad := range []string{"Good", "", ".", ".Add"} { // as an XClient says, too
		wantError(t, client.Call(context.Background(), bad, Args{}, nil), geerpc.CodeInvalidArgument, geerpc.InServer, geerpc.RanNever)
	}
}

// TestRegister_WhileServing registers services from many goroutines while
// calls are made: it may be done at any time.
func TestRegister_WhileServing(t *testing.T) {
	e := newEnv(t, "tcp", "application/gob")
	client := e.dial(nil)
	var wg sync.WaitGroup
	for i := range 20 {
		name := "Late" + strings.Repeat("r", i)
		wg.Go(func() {
			if err := e.RegisterName(name, Odd{}); err != nil {
				t.Error(err)
			}
			if err := client.Call(context.Background(), name+".Good", 1, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// What is wrong in its upper and lower case only is asked about.
func TestMessages_NotFound(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	client := e.dial(nil)
	for name, want := range map[string]string{
		"arith.Add":   "rpc server: can't find service arith; is Arith meant?",
		"Arith.aDD":   "rpc server: can't find method aDD of service Arith; is Add meant? (the name of a method begins with a capital letter, for it must be exported)",
		"Arith.ADD":   "rpc server: can't find method ADD of service Arith; is Add meant?",
		"Arith.other": "rpc server: can't find method other of service Arith (the name of a method begins with a capital letter, for it must be exported)",
		"Other.Add":   "rpc server: can't find service Other",
		"Arith.Other": "rpc server: can't find method Other of service Arith",
		"Arith":       `rpc server: service/method request ill-formed: "Arith", want "Service.Method"`,
	} {
		if err := client.Call(t.Context(), name, Args{}, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Register logs which methods it has skipped, and why.
func TestMessages_Skipped(t *testing.T) {
	var s geerpc.Server
	logger, log := rpctest.Logger()
	s.Logger = logger
	if err := errors.Join(s.RegisterName("Mixed", new(mixed)), s.RegisterName("Narrow", new(mixed), "Good")); err != nil {
		t.Fatal(err)
	}
	s.Close() // waits for the Logger
	want := `msg="rpc server: methods were skipped" service=Mixed why="method NoPointer has the reply type int, which is not a pointer; ` +
		`method NoReply does not take args and a reply, with or without a context.Context in front"`
	if text := log.String(); !strings.Contains(text, want) || strings.Contains(text, "Narrow") {
		t.Errorf("logged %q", text)
	}
}

// Who calls a method that was left out is told why.
func TestLeftOutMethod(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	if err := e.RegisterName("Mixed", new(mixed)); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	if err := e.RegisterName("Both", onBoth{}); err != nil {
		t.Fatal(err)
	}
	err := client.Call(context.Background(), "Both.OnPointer", Args{}, nil)
	if want := "method OnPointer of service Both: it was left out, for it has a pointer receiver: register a *test.onBoth"; !strings.HasSuffix(fmt.Sprint(err), want) {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"NoPointer": "it has the reply type int, which is not a pointer",
		"NoReply":   "it does not take args and a reply, with or without a context.Context in front",
	} {
		err := client.Call(context.Background(), "Mixed."+name, Args{}, nil)
		wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
		if !strings.HasSuffix(err.Error(), "method "+name+" of service Mixed: it was left out, for "+want) {
			t.Error(err)
		}
	}
}

// onBoth has methods on the value, and one on its pointer only.
type onBoth struct{}

func (onBoth) OnValue(int, *int) error    { return nil }
func (*onBoth) OnPointer(int, *int) error { return nil }

type mixed struct{}

func (*mixed) Good(int, *int) error     { return nil }
func (*mixed) NoReply(int) error        { return nil }
func (*mixed) NoPointer(int, int) error { return nil }

func TestRegisterName_Missing(t *testing.T) {
	s := geerpc.NewServer()
	if err := s.RegisterName("A", new(Arith), "Add", "Sub"); err == nil || !strings.Contains(err.Error(), "method Sub does not exist") {
		t.Error(err)
	}
	if err := s.RegisterName("A", new(Arith), "Add", "Add"); err != nil {
		t.Errorf("a name said twice: %v", err)
	}
}

func TestServices(t *testing.T) {
	var s geerpc.Server
	if got := s.Services(); len(got) != 0 {
		t.Errorf("a new server has %v", got)
	}
	s.RegisterName("B", new(Arith))
	s.RegisterName("A", new(Arith))
	if got := fmt.Sprint(s.Services()); got != "[A B]" {
		t.Error(got)
	}
}
