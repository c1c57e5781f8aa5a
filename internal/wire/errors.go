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

// TooLarge returns the ErrTooLarge of a message of n bytes.
func TooLarge(n, limit int) error {
	return fmt.Errorf("%w: %d bytes, allowed are %d", ErrTooLarge, n, limit)
}
