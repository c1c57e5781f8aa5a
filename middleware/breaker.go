package middleware

import (
	"context"
	"fmt"
	"sync"
	"time"

	"geerpc"
)

// The defaults of a Breaker.
const (
	DefaultBreakerShare    = 0.5
	DefaultBreakerMinCalls = 20
	DefaultBreakerWindow   = 10 * time.Second
	DefaultBreakerPause    = 500 * time.Millisecond
	DefaultBreakerProbes   = 3
)

// A Breaker refuses calls while most of them would fail: callers learn at once
// what they would have learned late, and a server that fails under load gets
// less of it. It has a circuit for each method, or for each Key:
//
//	closed      calls pass, and their failures are counted
//	open        calls are refused, until Pause is over
//	half-open   a few calls pass as probes, and all others are refused; if the
//	            probes succeed the circuit closes, if one fails it opens again
//
// Exactly as many probes pass as are needed, however many callers wait. A probe
// whose caller leaves is replaced, and one that has no outcome after a second, or
// after Pause if that is longer, gets another one beside it. The pause does not
// grow, so a circuit closes within about half a second of the recovery, if there
// are calls.
//
// A refused call fails with unavailable, and xclient.Retry makes it again.
//
// It belongs on a client, inside Retry, around what can fail: then each attempt
// counts. On a server it may protect what a method depends on, with an IsFailure
// that knows those errors. In an XClient a Breaker is for a method that fails on
// every server; for a server that fails there is xclient.Ejection, and the two
// go together. An Ejection compares a server with the others: it keeps calls off
// one that does worse, never more than half of them, and nothing fails; it has
// a call's outcome by server, which an interceptor has not. A Breaker knows no
// others, and makes calls fail. Where all servers do equally badly no server is
// ejected, and the Breaker opens.
//
// A call costs two locks and a look into a map, about 0.2 µs, and no allocation.
type Breaker struct {
	// Share is the share of failures, among the calls in the Window, at which
	// a circuit opens. Zero: 0.5; negative or over 1: it never does.
	Share float64

	// MinCalls is how many calls there have to be in the Window. With fewer a
	// share means little. Zero or negative: 20.
	MinCalls int

	// Window is for how long a call counts, to a tenth of it. Zero or
	// negative: 10 s.
	Window time.Duration

	// Pause is how long a circuit stays open before the first probe. Zero or
	// negative: 500 ms.
	Pause time.Duration

	// Probes is how many calls have to succeed to close the circuit. No more
	// pass meanwhile. Zero or negative: 3.
	Probes int

	// Key says which calls share a circuit. Nil: those of a method. For one
	// circuit of all calls, return the same string for all.
	Key Key

	// MaxKeys is how many circuits are remembered. Those without a call in the
	// Window are forgotten (open ones a Window after their Pause), and, if there
	// are too many, the one that was not used for longest. A circuit that was
	// forgotten begins closed; OnChange does not hear of it. Zero or negative:
	// 65,536.
	MaxKeys int

	// IsFailure reports whether an error, which may be nil, speaks against
	// what is called. A call whose caller has cancelled it and one that a
	// middleware refused do not count, and IsFailure is not asked. Nil:
	// ServerFailed.
	IsFailure func(ctx context.Context, err error) bool

	// OnChange is told of each change of a circuit, by the call that caused
	// it and before it returns. Several may be told at once. Nil: nobody is.
	OnChange func(key string, from, to BreakerState)

	refuser  refuser
	once     sync.Once
	settings circuitSettings

	mu       sync.Mutex
	circuits keyed[circuit] // guarded by mu
}

// A BreakerState is the state of a circuit.
type BreakerState uint8

// The states of a circuit.
const (
	BreakerClosed BreakerState = iota
	BreakerOpen
	BreakerHalfOpen
)

// String returns "closed", "open" or "half-open".
func (s BreakerState) String() string {
	switch s {
	case BreakerClosed:
		return "closed"
	case BreakerOpen:
		return "open"
	case BreakerHalfOpen:
		return "half-open"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// States returns the state of each circuit that is remembered, by key.
func (b *Breaker) States() map[string]BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	states := make(map[string]BreakerState, len(b.circuits.entries))
	for key, e := range b.circuits.entries {
		states[key] = e.state.state
	}
	return states
}

// Refused returns how many calls were refused, by reason.
func (b *Breaker) Refused() map[string]int64 { return b.refuser.byReason() }

// Intercept is a geerpc.Interceptor: it refuses calls whose circuit is open.
func (b *Breaker) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	b.once.Do(b.prepare)
	return func(ctx context.Context, serviceMethod string, args, reply any) (err error) {
		if ctx == nil || ctx.Err() != nil {
			return next(ctx, serviceMethod, args, reply) // it fails, whatever is called
		}
		p, refusal := b.begin(b.keyOf(ctx, serviceMethod))
		if refusal != (Refusal{}) {
			return b.refuser.refuse(geerpc.CodeUnavailable, refusal)
		}
		result := uncounted // of a panic, which may be another interceptor's
		defer func() { b.end(p, result) }()
		b.tell(p.entry.key, p.change)
		err = next(ctx, serviceMethod, args, reply)
		result = b.judge(ctx, err)
		return err
	}
}

func (b *Breaker) prepare() {
	b.settings = circuitSettings{share: b.Share, minCalls: b.MinCalls, window: b.Window, pause: b.Pause, probes: b.Probes}.withDefaults()
	b.circuits.max = b.MaxKeys
}

func (b *Breaker) keyOf(ctx context.Context, serviceMethod string) string {
	if b.Key == nil {
		return serviceMethod
	}
	return b.Key.of(ctx, serviceMethod)
}

// A pass is what a call needs to be counted.
type pass struct {
	entry      *entry[circuit]
	generation int    // of the circuit, in which the call began
	change     change // that it caused
}

// A change is one of a circuit's state. The zero change is none.
type change struct{ from, to BreakerState }

// begin lets a call pass, or says why not. The zero Refusal is none.
func (b *Breaker) begin(key string) (pass, Refusal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now()
	e, _ := b.circuits.get(key, func(c *circuit) bool { return c.idle(&b.settings, at) })
	before := e.state.state
	if refusal := e.state.begin(&b.settings, at); refusal != (Refusal{}) {
		return pass{}, refusal
	}
	return pass{e, e.state.generation, change{before, e.state.state}}, Refusal{}
}

// end counts a call, and tells the hook of what that changed.
func (b *Breaker) end(p pass, r result) {
	b.mu.Lock()
	c := &p.entry.state
	before := c.state
	if c.generation == p.generation {
		c.end(&b.settings, now(), r)
	}
	after := c.state
	b.mu.Unlock()
	b.tell(p.entry.key, change{before, after})
}

func (b *Breaker) tell(key string, c change) {
	if c.from != c.to && b.OnChange != nil {
		b.OnChange(key, c.from, c.to)
	}
}
