package geerpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// A slowHandler takes its time before it looks at a record.
type slowHandler struct{ slog.Handler }

func (h slowHandler) Handle(ctx context.Context, r slog.Record) error {
	time.Sleep(time.Millisecond) // in which the value changes: what is looked for is a race
	return h.Handler.Handle(ctx, r)
}

// What an interceptor panics with may change as soon as its call is over: here
// it belongs to the next call of an Ordered server. The race detector, or the
// runtime, would notice a Logger that still reads it.
func TestC147_PanicValueThatChanges(t *testing.T) {
	e := newEnv(t, "pipe", framedJSON)
	e.Ordered = true
	logger, log := listenIn()
	e.Logger = slog.New(slowHandler{logger.Handler()})
	state := map[int]int{} // of the call that runs
	e.Interceptors = []Interceptor{func(next CallFunc) CallFunc {
		return func(ctx context.Context, method string, args, reply any) error {
			for i := range 100 {
				state[i]++
			}
			if args.(Args).A == -1 {
				panic(state)
			}
			return next(ctx, method, args, reply)
		}
	}}
	c := e.dial(nil)
	for range 50 {
		wantError(t, c.Call(t.Context(), "Arith.Add", Args{A: -1}, nil), CodeInternal, InServer, RanNever)
		for range 5 {
			mustAdd(t, c)
		}
	}
	e.Close()
	if text := log.String(); !strings.Contains(text, "map[0:") {
		t.Errorf("log: %s", text)
	}
}

// Whoever panics may do so with a value that panics with itself when it is
// printed, with which package fmt panics in turn.
func TestC147_PanicValueThatPanics(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	logger, log := listenIn()
	e.Logger = logger
	RegisterFunc(e.Server, "Test.Panic", func(context.Context, Args) (Reply, error) { panic(selfPanic{}) })
	e.Interceptors = []Interceptor{func(next CallFunc) CallFunc {
		return func(ctx context.Context, method string, args, reply any) error {
			if method == "Test.Early" {
				panic(selfPanic{})
			}
			return next(ctx, method, args, reply)
		}
	}}
	RegisterFunc(e.Server, "Test.Early", func(context.Context, Args) (Reply, error) { return Reply{}, nil })
	e.OnShutdown(func(context.Context) { panic(selfPanic{}) })
	c := e.dial(nil)
	wantError(t, c.Call(t.Context(), "Test.Panic", Args{}, nil), CodeInternal, InMethod, RanYes)
	wantError(t, c.Call(t.Context(), "Test.Early", Args{}, nil), CodeInternal, InServer, RanNever)
	mustAdd(t, c)
	_, err := e.tryDial(&Option{Dialer: func(context.Context, string, string) (net.Conn, error) { panic(selfPanic{}) }})
	wantError(t, err, CodeInternal, InClient, RanNever)
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); strings.Count(text, fmt.Sprintf("panic=\"%T", selfPanic{})) != 3 {
		t.Errorf("log: %s", text)
	}
}
