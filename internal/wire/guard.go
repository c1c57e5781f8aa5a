package wire

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// A PanicError is a panic of code that is not ours: of a connection's methods,
// or of what crypto/tls calls back. It ends that connection.
type PanicError struct {
	Where string
	Value any // Recover puts its text here
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("%s panicked: %.256v", e.Where, e.Value) }

// Recover, deferred, turns a panic into a PanicError.
func Recover(where string, err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{where, PanicText(p), debug.Stack()}
	}
}

// Errors of connections whose methods do not do as they should.
var (
	errExited = errors.New("the connection's Write ended the goroutine that called it")
	errCount  = errors.New("the connection's Write returned an invalid count")
)
