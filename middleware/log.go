package middleware

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"geerpc"
)

// The defaults of a Log.
const (
	DefaultLogSuccesses = 10 // a second
	DefaultLogSlow      = time.Second
)

// A Log writes a line for each call that fails or is slow, and for some of the
// others: it says what goes wrong, and shows now and then what goes well.
//
//	calls := &middleware.Log{Logger: logger}
//	server.Interceptors = []geerpc.Interceptor{calls.Server}
//
// A line has the attributes method, code and duration; where and ran if the call
// failed with a *geerpc.Error; err if it failed; peer on a server, if it has an
// address; trace_id if a Trace outside of it knows one; skipped if calls were left out
// since the last line. Arguments and replies are left out unless Payloads asks for
// them. A call that panics is logged as internal.
//
// It belongs outside of what refuses calls, so that refusals are logged, and
// inside of Trace. Outside of Retry a line is a call, inside it is an attempt.
//
// The defaults keep every failure, and ten successes a second: a log that grows
// with the load is the first thing that a busy service turns off. If an attacker
// can make calls fail, set Failures too. A call that is left out costs 0.2 µs and
// no allocation. A line costs what the Logger takes, on the call's goroutine: 1.6 µs for a
// slog.TextHandler that writes to nowhere. On a server the peer's text is an allocation,
// the trace's another; a failure has a few more.
//
// The zero Log works.
type Log struct {
	// Logger writes the lines. Nil: slog.Default.
	Logger *slog.Logger

	// Every keeps only each n-th of the successful calls. Zero or one: all;
	// negative: none.
	Every int

	// Successes limits the lines for successful calls in each second, after
	// Every. Zero: 10; negative: no limit.
	Successes int

	// Failures limits the lines for failed and for slow calls in each second.
	// Zero or negative: no limit.
	Failures int

	// Slow is how long a call takes that is logged whatever Every and Successes
	// say, as a warning at least. Zero: 1 s; negative: no call is slow.
	Slow time.Duration

	// Level chooses the level of a line by the code of the call. Nil: LogLevel.
	Level func(geerpc.Code) slog.Level

	// Payloads adds the attribute args, and reply if the call succeeded, as they
	// are. They may be large, or secret. A Logger whose handler keeps them
	// beyond Handle reads what others may be writing.
	Payloads bool

	good      atomic.Uint64 // successful calls that are not slow
	skipped   atomic.Uint64 // calls without a line since the last line
	successes quota
	failures  quota
}

// LogLevel is the level of a call's line by its code, unless a Log has another
// Level. What the caller can expect is information. What the owner of the service
// should know of is a warning, if time, load or permissions are the reason, and
// else an error.
func LogLevel(code geerpc.Code) slog.Level {
	switch code {
	case geerpc.CodeOK, geerpc.CodeCanceled, geerpc.CodeInvalidArgument, geerpc.CodeNotFound,
		geerpc.CodeAlreadyExists, geerpc.CodeUnauthenticated:
		return slog.LevelInfo
	case geerpc.CodeDeadlineExceeded, geerpc.CodePermissionDenied, geerpc.CodeResourceExhausted,
		geerpc.CodeFailedPrecondition, geerpc.CodeAborted, geerpc.CodeOutOfRange, geerpc.CodeUnavailable:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Client is a geerpc.Interceptor that logs the calls a client makes.
func (l *Log) Client(next geerpc.CallFunc) geerpc.CallFunc { return l.intercept(next, clientSide) }

// Server is a geerpc.Interceptor that logs the calls a server handles.
func (l *Log) Server(next geerpc.CallFunc) geerpc.CallFunc { return l.intercept(next, serverSide) }

func (l *Log) intercept(next geerpc.CallFunc, on side) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		c := loggedCall{on: on, method: serviceMethod, args: args, reply: reply}
		begin, err := now(), errNotReturned
		defer func() { l.log(ctx, &c, now()-begin, err) }()
		err = next(ctx, serviceMethod, args, reply)
		return err
	}
}

// A loggedCall is what a line says of a call before it has ended.
type loggedCall struct {
	on          side
	method      string
	args, reply any
}

// log writes the line of a call that has ended, if it gets one.
func (l *Log) log(ctx context.Context, c *loggedCall, took time.Duration, err error) {
	slow := l.slow(took)
	if !l.wanted(err != nil || slow) {
		l.skipped.Add(1)
		return
	}
	logger := l.Logger
	if logger == nil {
		logger = slog.Default()
	}
	code := codeOf(err)
	level := l.level(code, slow)
	if !logger.Enabled(ctx, level) {
		return
	}
	var room [12]slog.Attr
	attrs := append(room[:0], slog.String("method", c.method), slog.String("code", code.String()),
		slog.Duration("duration", took))
	attrs = appendFailure(attrs, err)
	attrs = c.appendOrigin(attrs, ctx)
	if trace, ok := TraceContextFrom(ctx); ok {
		attrs = append(attrs, slog.String("trace_id", hex.EncodeToString(trace.TraceID[:])))
	}
	if l.Payloads {
		attrs = c.appendPayloads(attrs, err)
	}
	if n := l.skipped.Swap(0); n > 0 {
		attrs = append(attrs, slog.Uint64("skipped", n))
	}
	logger.LogAttrs(ctx, level, c.on.logText(), attrs...)
}

func (l *Log) slow(took time.Duration) bool {
	limit := l.Slow
	if limit == 0 {
		limit = DefaultLogSlow
	}
	return limit > 0 && took >= limit
}

// wanted tells whether a call gets a line.
func (l *Log) wanted(notable bool) bool {
	if notable {
		return l.Failures <= 0 || l.failures.take(l.Failures)
	}
	switch {
	case l.Every < 0:
		return false
	case l.Every > 1 && l.good.Add(1)%uint64(l.Every) != 0:
		return false
	case l.Successes < 0:
		return true
	case l.Successes == 0:
		return l.successes.take(DefaultLogSuccesses)
	}
	return l.successes.take(l.Successes)
}

func (l *Log) level(code geerpc.Code, slow bool) slog.Level {
	choose := l.Level
	if choose == nil {
		choose = LogLevel
	}
	level := choose(code)
	if slow {
		level = max(level, slog.LevelWarn)
	}
	return level
}

// appendFailure says how a call failed.
func appendFailure(attrs []slog.Attr, err error) []slog.Attr {
	if err == nil {
		return attrs
	}
	var e *geerpc.Error
	if !errors.As(err, &e) || e == nil {
		return append(attrs, slog.Any("err", err))
	}
	return append(attrs, slog.Any("err", textOnly{err}),
		slog.String("where", e.Where.String()), slog.String("ran", e.Ran.String()))
}

// A textOnly is an error that is logged as its text. What else a geerpc.Error has is in
// attributes of the line.
type textOnly struct{ error }

func (e textOnly) Unwrap() error { return e.error }

// appendOrigin says where a call comes from.
func (c *loggedCall) appendOrigin(attrs []slog.Attr, ctx context.Context) []slog.Attr {
	if c.on == clientSide {
		return attrs
	}
	if peer, ok := geerpc.PeerFrom(ctx); ok && peer.Addr != nil {
		attrs = append(attrs, slog.String("peer", addrText(peer.Addr)))
	}
	return attrs
}

// addrText is addr.String, with one allocation for the address of a TCP connection, not
// three.
func addrText(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	a := tcp.AddrPort()
	if !a.IsValid() {
		return addr.String()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

func (c *loggedCall) appendPayloads(attrs []slog.Attr, err error) []slog.Attr {
	attrs = append(attrs, slog.Any("args", c.args))
	if err == nil {
		attrs = append(attrs, slog.Any("reply", c.reply))
	}
	return attrs
}

// A quota allows so many events in each second. It counts in one word: the
// second, and in the lower bits the events in it.
type quota struct{ state atomic.Uint64 }

const quotaBits = 24

// take tells whether one more event is allowed.
func (q *quota) take(limit int) bool {
	second := uint64(now() / time.Second)
	for {
		state := q.state.Load()
		next := max(state, second<<quotaBits) // another goroutine may be in a later second
		if next&(1<<quotaBits-1) >= uint64(min(limit, 1<<quotaBits-1)) {
			return false
		}
		if q.state.CompareAndSwap(state, next+1) {
			return true
		}
	}
}
