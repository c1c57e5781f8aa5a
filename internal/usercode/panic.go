package usercode

import (
	"fmt"
	"runtime"
	"strings"
)

// A PanicError is a panic of a user's code.
type PanicError struct {
	Where string // the code
	Text  string // of the value that it panicked with
	Stack []string
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %.256s", e.Where, e.Text) }

// Recover, deferred, turns a panic into a PanicError.
func Recover(where string, err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{where, PanicText(p), Stack()}
	}
}

// maxStack limits the functions of a Stack.
const maxStack = 32

// Stack returns the functions that led to a panic, for a log: the innermost first,
// without those that recover and those of the runtime. A deferred function calls it.
func Stack() (stack []string) {
	var pcs [2 * maxStack]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	panicked := false
	for more := true; more && len(stack) < maxStack; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic" && !panicked:
			panicked, stack = true, nil // what came before recovers from it
		case !strings.HasPrefix(f.Function, "runtime."):
			stack = append(stack, fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line))
		}
	}
	return stack
}

// maxPanicText limits the text of a value that was panicked with.
const maxPanicText = 1024

// PanicText returns the text of a value that was panicked with. The value may
// change later, so this is called at once.
func PanicText(p any) string {
	text := func() string {
		text := fmt.Sprint(p)
		return text[:min(len(text), maxPanicText)]
	}
	switch p := p.(type) {
	case string:
		return p
	case error:
		return Text(p, "Error", text)
	}
	return Text(p, "String", text)
}
