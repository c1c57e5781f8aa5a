package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"geerpc"
	"geerpc/xclient"
)

// Relay is a service that tells what came with a call, and makes one itself.
type Relay struct {
	next *geerpc.Client // nil for the last
	seen chan geerpc.Metadata
}

// Pass passes a call on.
func (r Relay) Pass(ctx context.Context, text string, reply *string) error {
	r.seen <- geerpc.MetadataFrom(ctx)
	if r.next == nil {
		return nil
	}
	return r.next.Call(ctx, "Relay.Pass", text, reply)
}

// dialRelay serves a Relay, and returns a client of it.
func dialRelay(t *testing.T, r Relay, server, client geerpc.Interceptor) *geerpc.Client {
	t.Helper()
	s := &geerpc.Server{Interceptors: []geerpc.Interceptor{server}}
	if err := s.Register(r); err != nil {
		t.Fatal(err)
	}
	return dialServer(t, s, client)
}

// relays sends a call with metadata through two servers, and returns what came
// to each.
func relays(t *testing.T, trace *Trace, md geerpc.Metadata) (first, second geerpc.Metadata) {
	t.Helper()
	seen := make(chan geerpc.Metadata, 2)
	last := dialRelay(t, Relay{nil, seen}, trace.Server, trace.Client)
	plain := func(next geerpc.CallFunc) geerpc.CallFunc { return next }
	c := dialRelay(t, Relay{last, seen}, trace.Server, plain)
	if err := c.Call(geerpc.WithMetadata(t.Context(), md), "Relay.Pass", "", new(string)); err != nil {
		t.Fatal(err)
	}
	return <-seen, <-seen
}

// TestTrace_PassedOn holds what a server without a Tracer sends on.
func TestTrace_PassedOn(t *testing.T) {
	const state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
	random := "00-" + traceA + "-" + spanA + "-02"
	for _, c := range []struct {
		name                  string
		md                    geerpc.Metadata
		wantParent, wantState string
	}{
		{"as it is", geerpc.Metadata{"traceparent": parentA, "tracestate": state}, parentA, state},
		{"in other letters", geerpc.Metadata{"TraceParent": parentA, "TRACESTATE": state}, parentA, state},
		{"without a state", geerpc.Metadata{"traceparent": parentA}, parentA, ""},
		{"random", geerpc.Metadata{"traceparent": random}, random, ""},
		{"higher version", geerpc.Metadata{"traceparent": "cc" + parentA[2:] + "-x", "tracestate": state}, parentA, state},
		{"state without a parent", geerpc.Metadata{"tracestate": state}, "", ""},
		{"bad parent", geerpc.Metadata{"traceparent": "00-x", "tracestate": state}, "", ""},
		{"bad state", geerpc.Metadata{"traceparent": parentA, "tracestate": "A=="}, parentA, ""},
		{"nothing", nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, md := relays(t, &Trace{}, c.md)
			state, sent := md["tracestate"]
			if md["traceparent"] != c.wantParent || state != c.wantState || sent != (c.wantState != "") {
				t.Errorf("%v", md)
			}
		})
	}
	if _, md := relays(t, &Trace{Restart: true}, geerpc.Metadata{"traceparent": parentA}); len(md) > 0 {
		t.Errorf("%v after a restart", md)
	}
}

// TestTrace_DamagedOrOversized sends what no tracing system should: calls work,
// and what goes on is valid, or nothing.
func TestTrace_DamagedOrOversized(t *testing.T) {
	for _, md := range []geerpc.Metadata{
		{"traceparent": strings.Repeat("0", 15<<10)},
		{"traceparent": "cc-" + traceA + "-" + spanA + "-01-" + strings.Repeat("x", 15<<10)},
		{"traceparent": parentA, "tracestate": entries(32, 400)},
		{"traceparent": parentA, "tracestate": entries(32, 256)},
		{"traceparent": parentA, "tracestate": strings.Repeat(",", 15<<10)},
		{"traceparent": parentA, "tracestate": strings.Repeat("a=1,", 4000)},
		{"traceparent": "\u00e4" + parentA, "tracestate": "\u00e4"},
	} {
		_, sent := relays(t, &Trace{}, md)
		c, ok := ParseTraceContext(sent["traceparent"], sent["tracestate"])
		switch {
		case len(sent) == 0:
		case !ok || len(sent["traceparent"]) != 55 || len(sent["tracestate"]) > 512 || c.State != sent["tracestate"]:
			t.Errorf("%.100v is sent on as %.1000v", md, sent)
		}
	}
}

// A recorder is a Tracer that counts spans up.
type recorder struct {
	flags byte
	state string

	mu    sync.Mutex
	spans []string // that have ended; guarded by mu
	last  byte     // id given; guarded by mu
}

func (r *recorder) Start(ctx context.Context, s SpanStart) (context.Context, Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	c := TraceContext{TraceID: s.Parent.TraceID, SpanID: [8]byte{r.last}, Flags: r.flags, State: r.state}
	if !s.Parent.Valid() {
		c.TraceID = [16]byte{r.last}
	}
	return ctx, &recorded{r, s, c}
}

type recorded struct {
	r *recorder
	s SpanStart
	c TraceContext
}

func (s *recorded) TraceContext() TraceContext { return s.c }

func (s *recorded) End(status string, err error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	side := "client"
	if s.s.Server {
		side = "server"
	}
	s.r.spans = append(s.r.spans, fmt.Sprintf("%s %s %d<%d %s %v", side, s.s.Name, s.c.SpanID[0], s.s.Parent.SpanID[0], status, err != nil))
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := r.spans
	r.spans = nil
	return spans
}

// TestTrace_Spans follows a call from its client through two servers.
func TestTrace_Spans(t *testing.T) {
	r := &recorder{flags: FlagSampled | FlagRandom, state: "x=1"}
	trace := &Trace{Tracer: r}
	seen := make(chan geerpc.Metadata, 2)
	last := dialRelay(t, Relay{nil, seen}, trace.Server, trace.Client)
	c := dialRelay(t, Relay{last, seen}, trace.Server, trace.Client)
	if err := c.Call(t.Context(), "Relay.Pass", "", new(string)); err != nil {
		t.Fatal(err)
	}
	want := []string{"server Relay.Pass 4<3 OK false", "client Relay.Pass 3<2 OK false",
		"server Relay.Pass 2<1 OK false", "client Relay.Pass 1<0 OK false"}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i, span := range []string{"01", "03"} {
		md := <-seen
		want := "00-01" + strings.Repeat("0", 30) + "-" + span + strings.Repeat("0", 14) + "-03"
		if md["traceparent"] != want || md["tracestate"] != "x=1" {
			t.Errorf("call %d has %v, want %s", i, md, want)
		}
	}
	c.Call(t.Context(), "Relay.Nothing", "", nil)
	want = []string{"server geerpc 6<5 NOT_FOUND true", "client Relay.Nothing 5<0 NOT_FOUND true"}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTrace_RandomFlag holds that a Tracer can't change what is known of an id
// that it did not make.
func TestTrace_RandomFlag(t *testing.T) {
	for _, flags := range []byte{0, FlagRandom} {
		r := &recorder{flags: FlagSampled | (FlagRandom ^ flags)}
		in := fmt.Sprintf("00-%s-%s-%02x", traceA, spanA, flags)
		first, second := relays(t, &Trace{Tracer: r}, geerpc.Metadata{"traceparent": in})
		if want := fmt.Sprintf("-%02x", FlagSampled|flags); first["traceparent"] != in || !strings.HasSuffix(second["traceparent"], want) {
			t.Errorf("%v and %v, want %s", first, second, want)
		}
	}
}

// none is a Tracer without spans.
type none struct{}

func (none) Start(ctx context.Context, _ SpanStart) (context.Context, Span) { return ctx, none{} }
func (none) TraceContext() TraceContext                                     { return TraceContext{} }
func (none) End(string, error)                                              {}

// TestTrace_NoSpan holds that a trace goes on where a Tracer has no span.
func TestTrace_NoSpan(t *testing.T) {
	if _, md := relays(t, &Trace{Tracer: none{}}, geerpc.Metadata{"traceparent": parentA}); md["traceparent"] != parentA {
		t.Errorf("%v", md)
	}
	if _, md := relays(t, &Trace{Tracer: none{}}, nil); len(md) > 0 {
		t.Errorf("%v", md)
	}
}

// TestTrace_Retry holds that a call is one span outside of Retry, and that each
// attempt has one inside.
func TestTrace_Retry(t *testing.T) {
	r := new(recorder)
	trace := &Trace{Tracer: r}
	retry := xclient.Retry{MaxAttempts: 3}
	refusal := Refusal{By: "shed", Reason: "late"}.refused(geerpc.CodeUnavailable)
	trace.Client(retry.Intercept(trace.Client(ended(refusal))))(t.Context(), "A.B", nil, nil)
	want := []string{"client A.B 2<1 UNAVAILABLE true", "client A.B 3<1 UNAVAILABLE true",
		"client A.B 4<1 UNAVAILABLE true", "client A.B 1<0 UNAVAILABLE true"}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestTrace_StateGoes holds that an attempt's state does not remain that of the
// call around it.
func TestTrace_StateGoes(t *testing.T) {
	seen := make(chan geerpc.Metadata, 1)
	outer, inner := &Trace{Tracer: &recorder{state: "x=1"}}, &Trace{Tracer: new(recorder)}
	plain := func(next geerpc.CallFunc) geerpc.CallFunc { return next }
	both := func(next geerpc.CallFunc) geerpc.CallFunc { return outer.Client(inner.Client(next)) }
	c := dialRelay(t, Relay{nil, seen}, plain, both)
	c.Call(t.Context(), "Relay.Pass", "", new(string))
	if md := <-seen; md["tracestate"] != "" {
		t.Errorf("%v", md)
	}
}

func TestTrace_Panics(t *testing.T) {
	r := new(recorder)
	trace := &Trace{Tracer: r}
	dies := func(context.Context, string, any, any) error { panic("oh") }
	for _, f := range []geerpc.CallFunc{trace.Client(dies), trace.Server(dies)} {
		if p := panics(func() { f(t.Context(), "A.B", nil, nil) }); p != "oh" {
			t.Errorf("panics with %v", p)
		}
		if got := r.take(); len(got) != 1 || !strings.HasSuffix(got[0], "INTERNAL true") {
			t.Errorf("%q", got)
		}
	}
}

func TestTrace_InLog(t *testing.T) {
	var h lines
	calls := &Log{Logger: slog.New(&h)}
	f := new(Trace).Client(calls.Client(ended(errors.New("no"))))
	trace, _ := ParseTraceContext(parentA, "")
	f(WithTraceContext(t.Context(), trace), "A.B", nil, nil)
	f(t.Context(), "A.B", nil, nil)
	got := h.take()
	if id, there := got[1].attrs["trace_id"]; got[0].attrs["trace_id"] != traceA || there {
		t.Errorf("%v, %v", got[0].attrs, id)
	}
}

func BenchmarkTrace(b *testing.B) {
	trace, _ := ParseTraceContext(parentA, "rojo=00f067aa0ba902b7")
	traced := WithTraceContext(b.Context(), trace)
	run := func(name string, ctx context.Context, f geerpc.CallFunc) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f(ctx, "Arith.Add", nil, nil)
			}
		})
	}
	run("client without a trace", b.Context(), new(Trace).Client(works))
	run("client", traced, new(Trace).Client(works))
	run("server without a trace", b.Context(), new(Trace).Server(works))
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ParseTraceContext(parentA, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
		}
	})
}
