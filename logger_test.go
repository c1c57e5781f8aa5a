package geerpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// An actingLogger is a slog.Handler that does with each message what the test
// wants it to.
type actingLogger func()

func (actingLogger) Enabled(context.Context, slog.Level) bool    { return true }
func (l actingLogger) Handle(context.Context, slog.Record) error { l(); return nil }
func (l actingLogger) WithAttrs([]slog.Attr) slog.Handler        { return l }
func (l actingLogger) WithGroup(string) slog.Handler             { return l }

// eachLogger runs f, in a bubble, with loggers that do what no Logger should. use sets what
// the one that closes it closes.
func eachLogger(t *testing.T, f func(t *testing.T, log *slog.Logger, heard <-chan struct{}, use func(close func() error))) {
	for _, name := range []string{"blocks", "closes", "panics", "exits"} {
		inBubble(t, name, func(t *testing.T) {
			heard, release := make(chan struct{}, 100), make(chan struct{})
			t.Cleanup(func() {
				close(release)
				time.Sleep(time.Minute) // in the bubble, until a Close that the Logger calls has given up
			})
			var closing func() error
			acts := map[string]func(){
				"blocks": func() { <-release },
				"closes": func() { closing() },
				"panics": func() { panic("no") },
				"exits":  runtime.Goexit,
			}
			f(t, slog.New(actingLogger(func() { heard <- struct{}{}; acts[name]() })), heard, func(close func() error) { closing = close })
		})
	}
}

// returns fails the test if f takes too long.
func returns(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(patient):
		t.Fatal("does not return: ", what)
	}
}

// TestD136_D143_LostConnection loses a connection with calls in flight. They
// end, and so does Close, whatever the Logger does when it hears of that.
func TestD136_D143_LostConnection(t *testing.T) {
	eachLogger(t, func(t *testing.T, log *slog.Logger, heard <-chan struct{}, use func(func() error)) {
		e := newEnv(t, "pipe", codec.GobType)
		client := e.dial(&Option{Logger: log})
		use(client.Close)
		const n = 5
		ended := make(chan error, n)
		for range n {
			go func() { ended <- client.Call(context.Background(), "Arith.Block", Args{}, nil) }()
		}
		eventually(t, "calls in flight", func() bool { return client.inFlight.Len() == n })
		call := client.Go("Arith.Block", Args{}, nil, nil)
		client.link.Conn.Close()
		returns(t, "calls", func() {
			for range n {
				wantError(t, <-ended, CodeUnavailable, OnLink, RanMaybe)
			}
			wantError(t, (<-call.Done).Error, CodeUnavailable, OnLink, RanMaybe)
		})
		<-heard
		returns(t, "Close", func() { client.Close() })
	})
}

// TestD136_InterceptorThatPanics under Go: the call is done before the Logger
// hears of it.
func TestD136_InterceptorThatPanics(t *testing.T) {
	eachLogger(t, func(t *testing.T, log *slog.Logger, heard <-chan struct{}, use func(func() error)) {
		panics := func(CallFunc) CallFunc {
			return func(context.Context, string, any, any) error { panic("no") }
		}
		client := newEnv(t, "pipe", codec.GobType).dial(&Option{Logger: log, Interceptors: []Interceptor{panics}})
		use(client.Close)
		call := client.Go("Arith.Add", Args{}, nil, nil)
		returns(t, "the call", func() { wantError(t, (<-call.Done).Error, CodeInternal, InClient, RanMaybe) })
		<-heard
		returns(t, "Close", func() { client.Close() })
	})
}

// TestD136_MethodThatPanics: its answer does not wait for the server's Logger.
// One that closes the server may be faster than the answer.
func TestD136_MethodThatPanics(t *testing.T) {
	for _, intercepted := range []bool{false, true} {
		eachLogger(t, func(t *testing.T, log *slog.Logger, heard <-chan struct{}, use func(func() error)) {
			e := newEnv(t, "pipe", codec.GobType)
			e.Logger = log
			use(e.Server.Close)
			if intercepted {
				e.Interceptors = []Interceptor{func(next CallFunc) CallFunc { return next }}
			}
			client := e.dial(nil)
			returns(t, "the call", func() {
				if err := client.Call(context.Background(), "Arith.Panic", Args{}, nil); CodeOf(err) != CodeUnavailable {
					wantError(t, err, CodeInternal, InMethod, RanYes)
				}
			})
			<-heard
			returns(t, "Close", func() { e.Server.Close() })
		})
	}
}

// A pingless codec can't write pings.
type pingless struct{ codec.Extended }

const pinglessType codec.Type = "test/pingless"

func init() {
	codec.Register(pinglessType, func(conn io.ReadWriteCloser) codec.Codec {
		return pingless{codec.NewGobCodec(conn).(codec.Extended)}
	})
}

func (p pingless) Extend() codec.Codec { return pingless{p.Extended.Extend().(codec.Extended)} }

func (p pingless) Write(h *codec.Header, body any) error {
	if h.Frame().Kind == codec.Ping {
		return errors.New("no")
	}
	return p.Extended.Write(h, body)
}

// TestD136_ControlMessageNotSent: calls are sent while the Logger is at it.
func TestD136_ControlMessageNotSent(t *testing.T) {
	eachLogger(t, func(t *testing.T, log *slog.Logger, heard <-chan struct{}, use func(func() error)) {
		client := newEnv(t, "pipe", pinglessType).dial(&Option{Logger: log})
		use(client.Close)
		client.link.Post(link.Control{Kind: codec.Ping})
		<-heard
		returns(t, "a call", func() {
			err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, nil)
			if err != nil && !errors.Is(err, ErrShutdown) { // the Logger may have closed the client
				t.Error(err)
			}
		})
		returns(t, "Close", func() { client.Close() })
	})
}
