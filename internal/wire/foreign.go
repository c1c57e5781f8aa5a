package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// textTime is how long code that is not ours has to say what it is.
const textTime = time.Second

// A ForeignError stands for an error of code that is not ours: of a connection,
// a codec or a value. Its text has been taken once. To ask whether it is another
// error, or what type it has, still runs that code, but a panic there means no.
type ForeignError struct {
	text string
	err  error
}

// Foreign returns what stands for err: err itself if it is known to be harmless.
func Foreign(err error) error {
	switch err {
	case nil, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, context.Canceled, context.DeadlineExceeded:
		return err
	}
	switch err.(type) {
	case *ForeignError, *PanicError:
		return err
	}
	return &ForeignError{Text(err, "Error", err.Error), err}
}

// Error returns the text that has been taken.
func (e *ForeignError) Error() string { return e.text }

// Is reports whether the error that e stands for is target.
func (e *ForeignError) Is(target error) (is bool) {
	defer func() { recover() }()
	return errors.Is(e.err, target)
}

// As finds the first error of target's type in what e stands for.
func (e *ForeignError) As(target any) (found bool) {
	defer func() { recover() }()
	return errors.As(e.err, target)
}

// Text returns what a method of v says, which may panic, end its goroutine or
// not return: so it has one of its own, and a second.
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

// PanicText returns the text of what code that is not ours has panicked with.
func PanicText(p any) string {
	switch p := p.(type) {
	case string:
		return p
	case error:
		return Text(p, "Error", func() string { return fmt.Sprintf("%.1024v", p) })
	}
	return Text(p, "String", func() string { return fmt.Sprintf("%.1024v", p) })
}
