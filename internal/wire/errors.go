package wire

import (
	"errors"
	"fmt"
)

// Errors of messages. Package codec exports and documents them; they stand
// here because packages below codec return them.
var (
	ErrTooLarge    = errors.New("message exceeds the size limit")
	ErrDefinitions = fmt.Errorf("%w of gob type definitions", ErrTooLarge)
	ErrTooDeep     = errors.New("value is nested too deep")
	ErrCorrupt     = errors.New("corrupt message")
)

// A sizeError is an ErrTooLarge with its numbers.
type sizeError struct{ size, limit int } // a size of 0 is not known

// TooLarge returns the ErrTooLarge of a message of n bytes.
func TooLarge(n, limit int) error { return &sizeError{n, limit} }

// MoreThan returns the ErrTooLarge of a message that was given up when it had more bytes
// than allowed.
func MoreThan(limit int) error { return &sizeError{0, limit} }

// WithHeader returns the error of a message whose body has failed with err. If the body
// was too large for what a header of n bytes had left of the limit, the error has the
// numbers of the whole message.
func WithHeader(err error, n int) error {
	body, ok := err.(*sizeError)
	if !ok {
		return err
	}
	whole := sizeError{body.size, body.limit + n}
	if body.size > 0 {
		whole.size += n
	}
	return &whole
}

// Error implements error.
func (e *sizeError) Error() string {
	if e.size == 0 {
		return fmt.Sprintf("%v: more than the %d bytes of MaxMessageBytes", ErrTooLarge, e.limit)
	}
	return fmt.Sprintf("%v: %d bytes, MaxMessageBytes is %d", ErrTooLarge, e.size, e.limit)
}

// Unwrap returns ErrTooLarge.
func (e *sizeError) Unwrap() error { return ErrTooLarge }
