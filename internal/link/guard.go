package link

import (
	"errors"
	"log/slog"

	"geerpc/internal/usercode"
)

// Caught, deferred, turns a panic of code that serves the whole connection into
// an error, and logs it.
func (l *Link) Caught(what string, err *error) {
	if p := recover(); p != nil {
		caught := &usercode.PanicError{Where: what, Text: usercode.PanicText(p), Stack: usercode.Stack()}
		l.reportPanic(caught)
		*err = errors.New(caught.Error()) // it has been logged
	}
}

func (l *Link) reportPanic(p *usercode.PanicError) {
	l.report(slog.LevelError, "rpc: "+p.Where+" panicked", "panic", p.Text, "stack", p.Stack)
}
