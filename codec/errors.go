package codec

import (
	"errors"

	"geerpc/internal/wire"
)

// Errors of this package, to be tested for with errors.Is.
var (
	// ErrUnknownType means that no codec is registered under a name.
	ErrUnknownType = errors.New("invalid codec type")

	// ErrTooLarge means that a message is over the size limit: the peer's if
	// Write returns it (nothing has been sent), our own if ReadHeader does (the
	// stream can't go on).
	ErrTooLarge = wire.ErrTooLarge

	// ErrDefinitions means that a value needs more type definitions of gob than
	// the connection has room for. It is an ErrTooLarge as well, and like that
	// one concerns the peer's limit or our own.
	ErrDefinitions = wire.ErrDefinitions

	// ErrTooDeep means that a value is nested deeper than a decoder may go, or
	// holds itself. It concerns that value alone.
	ErrTooDeep = wire.ErrTooDeep

	// ErrCorrupt means that what the peer sent is not a message.
	ErrCorrupt = wire.ErrCorrupt
)
