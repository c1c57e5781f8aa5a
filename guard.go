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

// A reportFunc has a message logged, without waiting.
type reportFunc func(level slog.Level, text string, args ...any)

// guard calls f, a user's code, and logs a panic of it.
func guard(report reportFunc, what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			report(slog.LevelError, "rpc: "+what+" panicked", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}

// sideBySide calls each f on a goroutine of its own. It returns when all have
// returned or, with its error, when ctx ends: those that have not are left
// behind.
func sideBySide(ctx context.Context, report reportFunc, what string, fs []func()) error {
	if len(fs) == 0 {
		return nil
	}
	var left sync.WaitGroup
	for _, f := range fs {
		left.Go(func() { guard(report, what, f) })
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
