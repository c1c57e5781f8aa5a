package geerpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"geerpc/internal/wire"
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
			report(slog.LevelError, "rpc: "+what+" panicked", "panic", panicText(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// caught, deferred, turns a panic of code that serves the whole connection into
// an error, and logs it.
func (l *link) caught(what string, err *error) {
	if p := recover(); p != nil {
		text := panicText(p)
		l.reportPanic(&wire.PanicError{Where: what, Value: text, Stack: debug.Stack()})
		*err = fmt.Errorf("%s panicked: %.256s", what, text)
	}
}

func (l *link) reportPanic(p *wire.PanicError) {
	l.report(slog.LevelError, "rpc: "+p.Where+" panicked", "panic", p.Value, "stack", string(p.Stack))
}

// textOf returns the text of an error, which may be a user's code.
func textOf(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("%T, whose Error method panicked: %.256s", err, panicText(p))
		}
	}()
	return err.Error()
}

// panicText returns the text of what has been panicked with. It is made at once:
// the value may change later. fmt calls a String method, and survives one that
// panics, but not one that panics with a value like itself.
func panicText(p any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T, whose text panicked", p)
		}
	}()
	return fmt.Sprint(p)
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
