package geerpc

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"geerpc/codec"
	"geerpc/internal/introspect"
)

// Half has a method that can't be called.
type Half struct{}

// Get can be called.
func (Half) Get(struct{ Name string }, *map[string]Args) error { return nil }

// Broken can't.
func (Half) Broken(int) error { return nil }

func describeServer(t *testing.T, c *Client, service string) (*introspect.Description, error) {
	t.Helper()
	return Method[introspect.Args, *introspect.Description](introspect.Describe)(t.Context(), c, introspect.Args{Service: service})
}

// TestIntrospection: a server describes itself, over every transport and codec.
func TestIntrospection(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		if err := e.Register(Half{}); err != nil {
			t.Fatal(err)
		}
		c := e.dial(nil)
		d, err := describeServer(t, c, "")
		if err != nil {
			t.Fatal(err)
		}
		if d.Version != introspect.Version || d.Build.Go == "" || len(d.Services) != 2 || d.Services[0].Name != "Arith" {
			t.Fatalf("%+v", d)
		}
		half := d.Services[1]
		if half.Name != "Half" || len(half.Methods) != 1 || len(half.Skipped) != 1 || half.Skipped[0].Name != "Broken" || half.Skipped[0].Reason == "" {
			t.Errorf("%+v", half)
		}
		add := d.Services[0].Methods[0]
		if add.Name != "Add" || !strings.Contains(add.Signature, "Args") || !strings.Contains(add.Args.Go, "A int") ||
			string(add.Args.Example) != `{"A":1,"B":1}` || !json.Valid(add.Reply.Schema) {
			t.Errorf("%+v", add)
		}
		var reply Reply
		if err := c.Call(t.Context(), "Arith.Add", json.RawMessage(add.Args.Example), &reply); e.codec == codec.JsonType && (err != nil || reply.C != 2) {
			t.Errorf("calling the example: %v, %v", reply, err)
		}
		if d, err = describeServer(t, c, "Half"); err != nil || len(d.Services) != 1 || d.Services[0].Name != "Half" {
			t.Errorf("one service: %+v, %v", d, err)
		}
		if d, err = describeServer(t, c, "geerpc"); err != nil || len(d.Services) != 1 || d.Services[0].Methods[0].Name != "Describe" {
			t.Errorf("itself: %+v, %v", d, err)
		}
		if err := c.Call(t.Context(), "geerpc.Nope", nil, nil); err == nil || !strings.Contains(err.Error(), "can't find method Nope") {
			t.Errorf("a method that it lacks: %v", err)
		}
		_, err = describeServer(t, c, "Nope")
		wantError(t, err, CodeNotFound, InMethod, RanYes)
	})
}

// TestIntrospection_Hidden: it is not among what the program has registered, and
// services that are registered later are described.
func TestIntrospection_Hidden(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	c := e.dial(nil)
	if _, err := describeServer(t, c, "Late"); CodeOf(err) != CodeNotFound {
		t.Errorf("before: %v", err)
	}
	if err := e.RegisterName("Late", Half{}); err != nil {
		t.Fatal(err)
	}
	if _, err := describeServer(t, c, "Late"); err != nil {
		t.Errorf("after: %v", err)
	}
	if got := e.Services(); !slices.Equal(got, []string{"Arith", "Late"}) {
		t.Errorf("Services returns %q", got)
	}
	for _, service := range e.debugInfo().Services {
		if service.Name == introspect.Service {
			t.Error("the debug page has the service")
		}
	}
}

// TestIntrospection_Off: with DisableIntrospection there is no such service.
func TestIntrospection_Off(t *testing.T) {
	e := newEnv(t, "pipe", codec.JsonType)
	e.DisableIntrospection = true
	_, err := describeServer(t, e.dial(nil), "")
	wantError(t, err, CodeNotFound, InServer, RanNever)
}

// TestIntrospection_Reserved: nobody else can have the name, whether introspection is on
// or off, because the field may be set after services are registered.
func TestIntrospection_Reserved(t *testing.T) {
	for _, off := range []bool{false, true} {
		s := &Server{DisableIntrospection: off}
		if err := s.RegisterName("geerpc", Half{}); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("off: %v: RegisterName returns %v", off, err)
		}
		f := func(context.Context, int) (int, error) { return 0, nil }
		if err := RegisterFunc(s, "geerpc.Describe", f); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("off: %v: RegisterFunc returns %v", off, err)
		}
		if err := RegisterFunc(s, "geerpc.more.Describe", f); err != nil {
			t.Errorf("off: %v: %v", off, err)
		}
	}
}

// TestIntrospection_Refused: Server.Admit and interceptors decide about it as about any
// other method.
func TestIntrospection_Refused(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	var intercepted string
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, serviceMethod string, args, reply any) error {
		intercepted = serviceMethod
		return next(ctx, serviceMethod, args, reply)
	})}
	refuse := false
	e.Admit = append(e.Admit, func(_ context.Context, serviceMethod string) error {
		if refuse && serviceMethod == introspect.Describe {
			return Errorf(CodePermissionDenied, "no")
		}
		return nil
	})
	c := e.dial(nil)
	if _, err := describeServer(t, c, ""); err != nil || intercepted != introspect.Describe {
		t.Errorf("intercepted %q, %v", intercepted, err)
	}
	refuse = true
	_, err := describeServer(t, c, "")
	wantError(t, err, CodePermissionDenied, InServer, RanNever)
}

// TestIntrospection_Stats: what has become of calls, over every transport and codec.
func TestIntrospection_Stats(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		c := e.dial(nil)
		stats := func(service string) (*introspect.Statistics, error) {
			return Method[introspect.Args, *introspect.Statistics](introspect.Stats)(t.Context(), c, introspect.Args{Service: service})
		}
		var reply Reply
		for b := range 3 {
			c.Call(t.Context(), "Arith.Div", Args{1, b}, &reply) // the first one fails
		}
		ctx, cancel := context.WithCancel(t.Context())
		blocked := make(chan error, 1)
		go func() { blocked <- c.Call(ctx, "Arith.Block", Args{}, nil) }() // ends with ctx
		eventually(t, "a call in flight", func() bool {
			s, err := stats("Arith")
			return err == nil && find(s, "Arith.Block").InFlight == 1
		})
		s, err := stats("")
		if err != nil || s.Version != introspect.Version || s.State != "open" || s.UptimeSeconds <= 0 || s.Connections != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		div := find(s, "Arith.Div")
		if div.Calls != 3 || div.Errors != 1 || div.InFlight != 0 || div.Minute.Calls != 3 || div.Minute.Errors["unknown"] != 1 ||
			div.Minute.P50 <= 0 || div.Minute.P999 < div.Minute.P50 || div.Minute.Seconds < 50 {
			t.Errorf("%+v", div)
		}
		if add := find(s, "Arith.Add"); add.Calls != 0 || add.Minute.Calls != 0 || add.Minute.P99 != 0 {
			t.Errorf("%+v", add)
		}
		if s, err = stats("geerpc"); err != nil || find(s, introspect.Stats).InFlight != 1 {
			t.Errorf("itself: %+v, %v", s, err)
		}
		_, err = stats("Nope")
		wantError(t, err, CodeNotFound, InMethod, RanYes)
		cancel()
		<-blocked
	})
}

func find(s *introspect.Statistics, method string) introspect.MethodStats {
	i := slices.IndexFunc(s.Methods, func(m introspect.MethodStats) bool { return m.Method == method })
	return s.Methods[i]
}
