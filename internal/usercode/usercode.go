// Package usercode is how the library calls code that is a user's: methods of
// connections, listeners, codecs, values and their errors, hooks and callbacks.
// Such code may panic, end its goroutine (runtime.Goexit), or not return. Here
// stands what keeps the process, and the work of others, from going with it.
//
//	Guard      calls a function and logs its panic
//	Recover    turns a panic into a PanicError
//	SideBySide calls functions at once, and waits for them under a context
//	Error      stands in for an error, whose own methods are a user's too
//	Text       asks a value for its text, and waits no longer than a second
//	RemoteAddr asks a connection for its address
package usercode

import (
	"context"
	"log/slog"
	"sync"
)

// A Reporter has a message logged, without waiting.
type Reporter func(level slog.Level, text string, args ...any)

// Guard calls f. A panic of f is logged, as one of what.
func Guard(report Reporter, what string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			report(slog.LevelError, "rpc: "+what+" panicked", "panic", PanicText(p), "stack", Stack())
		}
	}()
	f()
}

// SideBySide calls each function, guarded, on a goroutine of its own. It returns
// nil when all have returned. If ctx ends first it returns ctx's error, and leaves
// the others behind.
func SideBySide(ctx context.Context, report Reporter, what string, fs []func()) error {
	if len(fs) == 0 {
		return nil
	}
	var running sync.WaitGroup
	for _, f := range fs {
		running.Go(func() { Guard(report, what, f) })
	}
	done := make(chan struct{})
	go func() { // ends with the last f
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
