package middleware

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"geerpc"
)

// ended is a CallFunc that returns err.
func ended(err error) geerpc.CallFunc {
	return func(context.Context, string, any, any) error { return err }
}

// Echo is a service for tests with a connection.
type Echo struct{ fail error }

// Say returns what it gets, or fails.
func (e Echo) Say(text string, reply *string) error {
	*reply = text
	return e.fail
}

// dialEcho serves an Echo, and returns a client of it.
func dialEcho(t testing.TB, e Echo, server []geerpc.Interceptor, client ...geerpc.Interceptor) *geerpc.Client {
	t.Helper()
	s := &geerpc.Server{Interceptors: server}
	if err := s.Register(e); err != nil {
		t.Fatal(err)
	}
	return dialServer(t, s, client...)
}

// dialServer serves until the end of the test, and returns a client of the server.
func dialServer(t testing.TB, s *geerpc.Server, client ...geerpc.Interceptor) *geerpc.Client {
	t.Helper()
	lis := geerpc.NewPipeListener()
	go s.Serve(lis) // ends at Close
	t.Cleanup(func() { s.Close() })
	c, err := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext, Interceptors: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A line is what a logger was given.
type line struct {
	level slog.Level
	text  string
	attrs map[string]any
}

// lines is a slog.Handler that keeps what it gets.
type lines struct {
	mu  sync.Mutex
	got []line // guarded by mu
}

func (h *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (h *lines) WithAttrs([]slog.Attr) slog.Handler               { return h }
func (h *lines) WithGroup(string) slog.Handler                    { return h }

func (h *lines) Handle(_ context.Context, r slog.Record) error {
	l := line{r.Level, r.Message, make(map[string]any)}
	r.Attrs(func(a slog.Attr) bool {
		l.attrs[a.Key] = a.Value.Any()
		return true
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, l)
	return nil
}

// take returns the lines since the last take.
func (h *lines) take() []line {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = nil
	return got
}

// takeOne returns the only line since the last take.
func (h *lines) takeOne(t *testing.T) line {
	t.Helper()
	got := h.take()
	if len(got) != 1 {
		t.Fatalf("%d lines, want 1: %v", len(got), got)
	}
	return got[0]
}
