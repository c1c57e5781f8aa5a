package usercode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// textTime is how long a value has to return its text.
const textTime = time.Second

// A stand-in is in place of an error that is a user's. Its text has been taken
// once. Asking whether it is another error, or what type it has, still runs the
// user's code, but a panic there means no.
type standIn struct {
	text string
	err  error
}

// Error returns an error that can be used without care in place of err: err
// itself if it is known to be harmless.
func Error(err error) error {
	switch err {
	case nil, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, context.Canceled, context.DeadlineExceeded:
		return err
	}
	switch err.(type) {
	case *standIn, *PanicError:
		return err
	}
	return &standIn{Text(err, "Error", err.Error), err}
}

// Error returns the text that has been taken.
func (e *standIn) Error() string { return e.text }

// Is reports whether the error that e stands for is target.
func (e *standIn) Is(target error) (is bool) {
	defer func() { recover() }()
	return errors.Is(e.err, target)
}

// As finds the first error of target's type in what e stands for.
func (e *standIn) As(target any) (found bool) {
	defer func() { recover() }()
	return errors.As(e.err, target)
}

// ErrorText returns the text of an error, at once: unlike Text it does not survive
// an Error method that ends its goroutine, or does not return.
func ErrorText(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("%T, whose Error method panicked: %.256s", err, PanicText(p))
		}
	}()
	return err.Error()
}

// Text returns what a method of v says. The method may panic, end its goroutine or
// not return, so it is called on a goroutine of its own, and has a second.
func Text(v any, method string, say func() string) string {
	said := make(chan string, 1)
	go func() { // ends with say; nobody waits for longer than textTime
		text := fmt.Sprintf("%T, whose %s method ended its goroutine", v, method)
		defer func() {
			if p := recover(); p != nil {
				text = fmt.Sprintf("%T, whose %s method panicked", v, method)
			}
			said <- text
		}()
		text = say()
	}()
	late := time.NewTimer(textTime)
	defer late.Stop()
	select {
	case text := <-said:
		return text
	case <-late.C:
		return fmt.Sprintf("%T, whose %s method does not return", v, method)
	}
}
