package geerpc

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// decoded counts the arguments of Gate that have been decoded.
var decoded atomic.Int64

// A Traced is an argument that notices when it is decoded.
type Traced struct{ Text string }

// GobEncode implements gob.GobEncoder.
func (t Traced) GobEncode() ([]byte, error) { return []byte(t.Text), nil }

// GobDecode implements gob.GobDecoder.
func (t *Traced) GobDecode(data []byte) error {
	decoded.Add(1)
	t.Text = string(data)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (t Traced) MarshalJSON() ([]byte, error) { return json.Marshal(t.Text) }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Traced) UnmarshalJSON(data []byte) error {
	decoded.Add(1)
	return json.Unmarshal(data, &t.Text)
}

// Gate is a service that is not for everybody.
type Gate struct{}

// Open returns the text.
func (Gate) Open(t Traced, reply *string) error {
	*reply = t.Text
	return nil
}

// TestG153_Admit: a call that is not admitted is refused before its arguments are
// decoded; those before and behind it on the connection are not touched.
func TestG153_Admit(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		if err := e.Register(Gate{}); err != nil {
			t.Fatal(err)
		}
		inside := atomic.Int64{}
		e.Interceptors = []Interceptor{func(next CallFunc) CallFunc {
			return func(ctx context.Context, serviceMethod string, args, reply any) error {
				inside.Add(1)
				return next(ctx, serviceMethod, args, reply)
			}
		}}
		e.Admit = append(e.Admit, func(ctx context.Context, serviceMethod string) error {
			deadline, limited := ctx.Deadline()
			peer, known := PeerFrom(ctx)
			if serviceMethod != "Gate.Open" || !limited || time.Until(deadline) > time.Minute || !known || e.transport == "tls" && peer.TLS == nil {
				t.Errorf("asked about %s with the deadline %v, the peer %+v", serviceMethod, deadline, peer)
			}
			switch MetadataFrom(ctx)["user"] {
			case "friend":
				return nil
			case "busy":
				return Errorf(CodeResourceExhausted, "come back later")
			case "waits":
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				return ctx.Err()
			}
			return errors.New("who are you?")
		})
		client := e.dial(nil)
		call := func(user string) (string, error) {
			ctx, cancel := context.WithTimeout(WithMetadata(t.Context(), Metadata{"user": user}), time.Minute)
			defer cancel()
			var reply string
			err := client.Call(ctx, "Gate.Open", Traced{"sesame"}, &reply)
			return reply, err
		}
		decoded.Store(0)
		for range 3 {
			for user, code := range map[string]Code{"stranger": CodePermissionDenied, "busy": CodeResourceExhausted} {
				_, err := call(user)
				wantError(t, err, code, InServer, RanNever)
			}
		}
		if n := decoded.Load(); n != 0 || inside.Load() != 0 {
			t.Errorf("%d arguments were decoded, %d calls came to the interceptors", n, inside.Load())
		}
		for _, user := range []string{"friend", "waits", "friend"} {
			if reply, err := call(user); reply != "sesame" || err != nil {
				t.Errorf("%s: %q, %v", user, reply, err)
			}
		}
		m := e.registry.method("Gate.Open")
		if c := m.counts(); c.Calls != 9 || c.Errors != 6 || c.InFlight != 0 {
			t.Errorf("counted %+v", c)
		}
	})
}

// TestG153_AdmitFaults: where it can't be told whether a call is admitted, it is not.
func TestG153_AdmitFaults(t *testing.T) {
	first := func(context.Context, string) error { return nil }
	for name, second := range map[string]func(context.Context, string) error{
		"nil":    nil,
		"panics": func(context.Context, string) error { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			logger, logged := listenIn()
			e.Logger = logger
			e.Admit = append(e.Admit, first, second)
			client := e.dial(nil)
			for range 2 {
				err := client.Call(t.Context(), "Arith.Add", Args{1, 2}, nil)
				wantError(t, err, CodePermissionDenied, InServer, RanNever)
			}
			err := client.Call(t.Context(), "Arith.Nothing", Args{}, nil)
			wantError(t, err, CodeNotFound, InServer, RanNever)
			e.Close() // which waits for the Logger
			if text := logged.String(); strings.Contains(text, "oops") != (name == "panics") {
				t.Errorf("the log says %q", text)
			}
		})
	}
}

// A unwrapPanics panics when it is asked what it wraps.
type unwrapPanics struct{}

func (*unwrapPanics) Error() string { return "broken" }
func (*unwrapPanics) Unwrap() error { panic("unwrap") }

// TestG153_AdmitOddErrors: whatever error it is, the call is refused, as one that never
// ran, and the connection goes on.
func TestG153_AdmitOddErrors(t *testing.T) {
	for name, err := range map[string]error{
		"nil Error": (*Error)(nil), "code OK": &Error{Message: "no"}, "nothing said": &Error{},
		"no text": errors.New(""), "joined": errors.Join(&Error{Message: "no"}), "panics": new(unwrapPanics),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			e.Admit = append(e.Admit, func(context.Context, string) error { return err })
			client := e.dial(nil)
			for range 2 {
				err := client.Call(t.Context(), "Arith.Add", Args{1, 2}, nil)
				wantError(t, err, CodePermissionDenied, InServer, RanNever)
			}
		})
	}
}

// TestG153_AdmitDerives: a context that Admit derives from its own, and that ends while
// the next call is asked about, does not see that call's. The race detector looks.
func TestG153_AdmitDerives(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.Admit = append(e.Admit, func(ctx context.Context, _ string) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Microsecond)
		defer cancel()
		<-ctx.Done()
		return nil
	})
	client := e.dial(nil)
	for range 100 {
		var calls []*Call
		for range 16 {
			calls = append(calls, client.Go("Arith.Add", Args{1, 2}, new(Reply), nil))
		}
		for _, call := range calls {
			if <-call.Done; call.Error != nil {
				t.Fatal(call.Error)
			}
		}
	}
}

// TestG153_AdmitIsNoIdleness: a client whose calls are refused is not idle.
func TestG153_AdmitIsNoIdleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", codec.GobType)
		e.IdleTimeout = 10 * time.Second
		e.Admit = append(e.Admit, func(context.Context, string) error { return errors.New("no") })
		client := e.dial(nil)
		for range 20 {
			wantError(t, client.Call(t.Context(), "Arith.Add", Args{1, 2}, nil), CodePermissionDenied, InServer, RanNever)
			time.Sleep(2 * time.Second)
		}
		client.Close()
		e.Close()
	})
}

// TestG153_AdmitOldClients: they are told, and their other calls are answered.
func TestG153_AdmitOldClients(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.Admit = append(e.Admit, func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "Arith.Div" {
			return errors.New("not today")
		}
		return nil
	})
	client := e.dial(&Option{Legacy: true})
	for range 3 {
		if err := client.Call(t.Context(), "Arith.Div", Args{1, 1}, nil); err == nil || !strings.Contains(err.Error(), "not today") {
			t.Errorf("Div: %v", err)
		}
		var reply Reply
		if err := client.Call(t.Context(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
			t.Errorf("Add: %+v, %v", reply, err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A Deep argument leads to other memory, so that it is not used again.
type Deep struct{ P *int }

// TestG153_AdmitAfterOthers: values that are kept of calls of one method are no
// obstacle to refusing a call of another.
func TestG153_AdmitAfterOthers(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	RegisterFunc(e.Server, "Test.Deep", func(context.Context, Deep) (*int, error) { return new(int), nil })
	RegisterFunc(e.Server, "Test.Flat", func(context.Context, Args) (Reply, error) { return Reply{}, nil })
	e.Admit = append(e.Admit, func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "Test.Flat" {
			return errors.New("no")
		}
		return nil
	})
	client := e.dial(nil)
	n := 1
	for range 20 {
		for range 2 * maxPace { // until it runs inline, and its calls are recycled
			if err := client.Call(t.Context(), "Test.Deep", Deep{&n}, nil); err != nil {
				t.Fatal(err)
			}
		}
		err := client.Call(t.Context(), "Test.Flat", Args{}, nil)
		wantError(t, err, CodePermissionDenied, InServer, RanNever)
	}
}

// TestG153_AdmitBadMetadata: what can't be asked about is not decoded either.
func TestG153_AdmitBadMetadata(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	if err := e.Register(Gate{}); err != nil {
		t.Fatal(err)
	}
	e.Admit = append(e.Admit, func(context.Context, string) error { return errors.New("no") })
	p := e.handshake(nil)
	h := &codec.Header{ServiceMethod: "Gate.Open", Seq: 1}
	h.Frame().Metadata = Metadata{"no such\nkey": "x"}
	decoded.Store(0)
	if err := p.Write(h, Traced{"sesame"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.reply(t, nil); CodeOf(err) != CodeInvalidArgument {
		t.Errorf("the answer is %v", err)
	}
	if n := decoded.Load(); n != 0 {
		t.Errorf("%d arguments were decoded", n)
	}
}

// TestG153_AdmitExits: an Admit that ends its goroutine ends the connection that it was
// asked on. The call never ran, other connections go on, and nothing is left running.
func TestG153_AdmitExits(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	logger, logged := listenIn()
	e.Logger = logger
	var ran atomic.Bool
	RegisterFunc(e.Server, "Test.Exit", func(context.Context, int) (int, error) { ran.Store(true); return 0, nil })
	e.Admit = append(e.Admit, func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "Test.Exit" {
			runtime.Goexit()
		}
		return nil
	})
	other := e.dial(nil)
	for range 3 {
		err := e.dial(nil).Call(t.Context(), "Test.Exit", 0, nil)
		wantError(t, err, CodeUnavailable, OnLink, RanMaybe)
		if err := other.Call(t.Context(), "Arith.Add", Args{1, 2}, nil); err != nil {
			t.Errorf("another connection: %v", err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil || ran.Load() {
		t.Errorf("Shutdown: %v; the method ran: %v", err, ran.Load())
	}
	if !strings.Contains(logged.String(), "goroutine") {
		t.Errorf("the log says %q", logged)
	}
}
