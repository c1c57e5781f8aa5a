package middleware

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"geerpc"
)

// The bounds of a Metrics.
const (
	DefaultMaxMethods = 1000

	maxRefusals    = 100 // kinds of refusals on each side
	maxMetricBytes = 256 // of a name
)

// A Metrics counts calls by method and code, with a histogram of how long they
// take, those in flight, and what was refused and why.
//
//	metrics := &middleware.Metrics{ServerMethods: []string{"Stock.Reserve", "Stock.Return"}}
//	server.Interceptors = []geerpc.Interceptor{metrics.Server}
//	mux.Handle("/metrics", metrics)  // for Prometheus
//	expvar.Publish("rpc", metrics)   // for /debug/vars
//
// It is an http.Handler and an expvar.Var. One Metrics may count for a server and
// any number of clients: the names of the two sides differ.
//
// Names and buckets are OpenTelemetry's: rpc.server.call.duration and
// rpc.client.call.duration, in seconds from 5 ms to 10 s, with the attributes
// rpc.system.name ("geerpc"), rpc.method, rpc.status_code (the names of gRPC,
// such as NOT_FOUND) and, of calls that failed, error.type, which is the same.
// OpenTelemetry has no names for the others: they are geerpc.server.calls.in_flight
// and geerpc.server.calls.refused, and the same with client. In Prometheus' text
// the names are rpc_server_call_duration_seconds, geerpc_server_calls_in_flight
// and geerpc_server_calls_refused_total.
//
// The number of series is bounded: methods that a server does not have are
// _OTHER, and so are those beyond MaxMethods; no label is anything else that a
// caller sends. What Server.Admit refuses never reaches an interceptor; count it
// with [Metrics.Admit].
//
// It belongs outside of what refuses calls, inside of Trace. Outside of Retry it
// counts calls, inside it counts attempts. A call that panics counts as INTERNAL.
// A call costs four atomic additions and two looks at the clock, 0.2 µs together,
// and no allocation; one that fails costs one. A scrape takes no lock that a call would
// wait for.
//
// The zero Metrics works.
type Metrics struct {
	// ServerMethods and ClientMethods are methods that are known from the
	// start, such as "Stock.Reserve": their series are there, at zero, before
	// the first call, so that a rate is right from the first failure on. Write
	// down what you register, and what you call; what is missing appears with
	// its first call.
	ServerMethods, ClientMethods []string

	// Codes are the codes of which known methods have series from the start,
	// beside OK. Nil: unknown, deadline exceeded, resource exhausted, internal
	// and unavailable.
	Codes []geerpc.Code

	// MaxMethods limits the methods on each side that have series of their own,
	// beside the known ones. Zero or negative: 1,000.
	MaxMethods int

	once   sync.Once
	server sideMetrics
	client sideMetrics
}

// Client is a geerpc.Interceptor that counts the calls a client makes.
func (m *Metrics) Client(next geerpc.CallFunc) geerpc.CallFunc { return m.intercept(next, &m.client) }

// Server is a geerpc.Interceptor that counts the calls a server handles.
func (m *Metrics) Server(next geerpc.CallFunc) geerpc.CallFunc { return m.intercept(next, &m.server) }

func (m *Metrics) intercept(next geerpc.CallFunc, s *sideMetrics) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		m.once.Do(m.prepare)
		c := s.method(serviceMethod)
		c.inFlight.Add(1)
		begin, err := now(), errNotReturned
		defer func() {
			c.inFlight.Add(-1)
			s.ended(c, now()-begin, err)
		}()
		err = next(ctx, serviceMethod, args, reply)
		return err
	}
}

// Admit wraps a function for Server.Admit, and counts what that refuses.
func (m *Metrics) Admit(admit func(context.Context, string) error) func(context.Context, string) error {
	return func(ctx context.Context, serviceMethod string) error {
		err := admit(ctx, serviceMethod)
		if err != nil {
			m.once.Do(m.prepare)
			m.server.refused(err)
		}
		return err
	}
}

func (m *Metrics) prepare() {
	codes := m.Codes
	if codes == nil {
		codes = []geerpc.Code{geerpc.CodeUnknown, geerpc.CodeDeadlineExceeded, geerpc.CodeResourceExhausted,
			geerpc.CodeInternal, geerpc.CodeUnavailable}
	}
	most := m.MaxMethods
	if most <= 0 {
		most = DefaultMaxMethods
	}
	m.server.prepare(m.ServerMethods, codes, most)
	m.client.prepare(m.ClientMethods, codes, most)
}

// A sideMetrics is what is counted on one side.
type sideMetrics struct {
	methods  table[string, methodMetrics]
	refusals table[refusalKind, atomic.Uint64]
}

// A refusalKind is what is counted of a Refusal.
type refusalKind struct{ by, reason string }

func (s *sideMetrics) prepare(known []string, codes []geerpc.Code, most int) {
	s.methods.otherKey, s.methods.max = otherName, len(known)+most
	s.refusals.otherKey, s.refusals.max = refusalKind{otherName, otherName}, maxRefusals
	for _, name := range known {
		m := s.method(name)
		m.histogram(geerpc.CodeOK)
		for _, code := range codes {
			m.histogram(code)
		}
	}
}

// method returns what is counted of a method.
func (s *sideMetrics) method(name string) *methodMetrics {
	if m := s.methods.find(name); m != nil {
		return m
	}
	if name != geerpc.UnknownMethod && fitsLabel(name) {
		if m := s.methods.add(name); m != nil {
			return m
		}
	}
	return s.methods.other()
}

// ended counts a call that has ended.
func (s *sideMetrics) ended(m *methodMetrics, took time.Duration, err error) {
	m.histogram(codeOf(err)).observe(took)
	if err != nil {
		s.refused(err)
	}
}

// refused counts an error, if that is a refusal.
func (s *sideMetrics) refused(err error) {
	var r *Refusal
	if !errors.As(err, &r) || r == nil {
		return
	}
	kind := refusalKind{r.By, r.Reason}
	n := s.refusals.find(kind)
	if n == nil && fitsLabel(r.By) && fitsLabel(r.Reason) {
		n = s.refusals.add(kind)
	}
	if n == nil {
		n = s.refusals.other()
	}
	n.Add(1)
}

// fitsLabel tells whether a name may be the value of a label.
func fitsLabel(name string) bool { return len(name) <= maxMetricBytes && utf8.ValidString(name) }

// A methodMetrics is what is counted of one method.
type methodMetrics struct {
	inFlight atomic.Int64
	byStatus [len(statusNames)]atomic.Pointer[histogram] // nil until there is such a call
}

func (m *methodMetrics) histogram(code geerpc.Code) *histogram {
	slot := &m.byStatus[statusIndex(code)]
	if h := slot.Load(); h != nil {
		return h
	}
	slot.CompareAndSwap(nil, new(histogram))
	return slot.Load()
}

// bounds are the upper ends of the buckets but the last, which has none.
var bounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 75 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond,
	1 * time.Second, 2500 * time.Millisecond, 5 * time.Second, 7500 * time.Millisecond, 10 * time.Second,
}

// A histogram is how long calls took. Its count is the sum of its buckets, so
// that the two always agree.
type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	sum     atomic.Uint64 // in units of sumUnit
}

// sumUnit is so large that a thousand calls in flight take 37 years to overflow
// a sum, and smaller than what a clock can tell.
const sumUnit = 64 * time.Nanosecond

func (h *histogram) observe(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(uint64((max(took, 0) + sumUnit/2) / sumUnit))
}

// seconds returns the sum of all durations.
func (h *histogram) seconds() float64 { return float64(h.sum.Load()) * float64(sumUnit) / 1e9 }
