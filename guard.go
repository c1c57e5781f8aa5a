package geerpc

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Code that is a user's may panic, or end the goroutine it runs on. Where a
// goroutine of ours runs such code, what follows keeps the process, and that
// goroutine's other work, from going with it.

// guard calls f, a user's code, and logs a panic of it. It reports whether f
// has returned.
func guard(log *slog.Logger, what string, f func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("rpc: "+what+" panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// sideBySide calls each f on a goroutine of its own. It returns when all have
// returned or, with its error, when ctx ends: those that have not are left
// behind.
func sideBySide(ctx context.Context, log *slog.Logger, what string, fs []func()) error {
	if len(fs) == 0 {
		return nil
	}
	var left sync.WaitGroup
	for _, f := range fs {
		left.Go(func() { guard(log, what, f) })
	}
	done := make(chan struct{})
	go func() { // ends with the last f
		left.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A guardedHandler keeps what a user's slog.Handler does from whoever logs.
type guardedHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h guardedHandler) Enabled(ctx context.Context, level slog.Level) (ok bool) {
	defer func() { recover() }() // there is nowhere left to log it
	return h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler. The handler has a goroutine of its own, which
// it may end: so do those of tests that call t.Fatal.
func (h guardedHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	done := make(chan struct{})
	go func() { // ends with the handler, which we wait for
		defer close(done)
		defer func() { recover() }()
		err = h.Handler.Handle(ctx, r)
	}()
	<-done
	return err
}
