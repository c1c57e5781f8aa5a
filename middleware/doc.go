// Package middleware has what a service needs around its calls: logs, metrics,
// traces, limits, a circuit breaker, authorization. Each is a struct whose
// fields are its configuration, and one line to plug in:
//
//	limit := &middleware.RateLimit{Calls: 100, Key: middleware.ByPeer}
//	server.Interceptors = []geerpc.Interceptor{limit.Intercept}
//
// # The shape
//
// A middleware is used by pointer and must not be copied or changed after the
// first call. It is safe for concurrent use. Its zero value works unless its
// documentation says otherwise.
//
// Intercept is a geerpc.Interceptor, which goes into Server.Interceptors,
// Option.Interceptors or xclient.Config.Interceptors. Where the side matters
// there are two, Client and Server. Admit is for Server.Admit: it runs before
// the body of a call is decoded, so a call that is refused there costs next to
// nothing. What decides only when a call ends, such as Concurrency, has no Admit.
//
// # The table
//
//	            adds                                          methods
//	Log         a line for each call, sampled                 Client, Server
//	Metrics     counts and latencies, for Prometheus          Client, Server
//	Trace       spans, and the trace context in metadata      Client, Server
//	Authorize   who may call what                             Intercept, Admit
//	RateLimit   so many calls a second, by method or peer     Intercept, Admit
//	Breaker     no calls while most of them fail              Intercept
//	Timeout     a deadline, or a limit on it                  Intercept
//	Shed        no calls that can't be answered in time       Intercept, Admit
//	Concurrency so many calls at a time, fixed or adaptive    Intercept
//
// Package xclient has two more of the same shape, which work around a plain
// Client too: xclient.Retry makes failed calls again where that is safe, and
// xclient.Hedge makes slow ones twice.
//
// # The order
//
// The first interceptor is the outermost. What watches comes first, so that it
// sees refusals; then what refuses cheaply; then what needs to be near the
// method, because it measures it:
//
//	server    Trace, Metrics, Log, Authorize, RateLimit, Timeout, Shed, Concurrency
//	client    Trace, Metrics, Log, Timeout, Retry, Hedge, RateLimit, Breaker, Concurrency
//	XClient   the same; but its own Config.Retry, Hedge and Ejection are inside all of them
//
// A Breaker inside Retry counts each attempt; outside it counts calls. Shed and
// RateLimit go into Server.Admit if that is enough, or into both.
//
// # Refusals
//
// A call that a middleware refuses fails with a *geerpc.Error that wraps a
// [*Refusal], which says who refused it and why. Its method has not run and
// never will: it is safe to make the call again, once it may pass. The *Refusal does
// not cross the wire: a client gets the code and the text of a refusal on its server.
//
// # The cost
//
// What is not plugged in costs nothing. What is costs a call so many microseconds and
// allocations, if it lets the call pass:
//
//	                 client     server
//	Log, left out    0.1        0.1
//	Log, a line      1.6        1.6, 1    to nowhere, as text
//	Metrics          0.1        0.1
//	Trace, no trace  0.04       0.02
//	Trace, a span    0.8, 5     0.2, 1    without what the Tracer does
//	Authorize                   0.1       two rules
//	RateLimit        0.1        0.1
//	Breaker          0.2        0.2
//	Timeout          0.5, 1     0.2, 1
//	Shed                        0.1
//	Shed, a queue               0.3
//	Concurrency      0.2        0.2
//
// That is BenchmarkMiddleware, in Go 1.26 on a core of an AMD EPYC. On a server the first
// interceptor, whichever it is, adds three allocations for the context of the call. A
// refusal costs 0.3 µs and two allocations.
//
// # Functions of yours
//
// A middleware calls your functions (a Key, an IsFailure, a hook) on the
// goroutine of a call, without holding a lock. If one panics, so does that call
// as if the interceptor had; others go on, and no slot or probe is lost.
package middleware
