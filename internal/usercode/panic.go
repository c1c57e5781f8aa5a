package usercode

import (
	"fmt"
	"runtime/debug"
)

// A PanicError is a panic of a user's code.
type PanicError struct {
	Where string // the code
	Text  string // of the value that it panicked with
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %.256s", e.Where, e.Text) }

// Recover, deferred, turns a panic into a PanicError.
func Recover(where string, err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{where, PanicText(p), debug.Stack()}
	}
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
