package codec

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// A Type names a codec in the handshake of a connection.
type Type string

// The codecs that are built in.
const (
	GobType  Type = "application/gob"
	JsonType Type = "application/json"
)

// NewCodecFunc makes a codec that reads from and writes to conn and closes it.
// It must not read or write by itself.
type NewCodecFunc func(conn io.ReadWriteCloser) Codec

// NewCodecFuncMap holds the registered codecs. It is exported for programs that
// add their codec directly, which is safe only before the first connection;
// [Register] is safe at any time.
var NewCodecFuncMap = map[Type]NewCodecFunc{
	GobType:  NewGobCodec,
	JsonType: NewJSONCodec,
}

var mu sync.RWMutex // guards NewCodecFuncMap, except from programs that bypass Register

// Register makes a codec available under the name t. It replaces the codec that
// had the name, except on connections that exist. Both peers must have the
// codec. Register is safe for concurrent use. A nil f makes the name unusable:
// Lookup says so, and with it Dial and the server that a client asks for the
// codec.
func Register(t Type, f NewCodecFunc) {
	mu.Lock()
	defer mu.Unlock()
	NewCodecFuncMap[t] = f
}

// Lookup returns the codec registered under the name t. If there is none, or
// its constructor is nil, the error wraps ErrUnknownType and names the codecs
// that can be used.
func Lookup(t Type) (NewCodecFunc, error) {
	mu.RLock()
	defer mu.RUnlock()
	f, registered := NewCodecFuncMap[t]
	if f != nil {
		return f, nil
	}
	var usable []Type
	for name, f := range NewCodecFuncMap {
		if f != nil {
			usable = append(usable, name)
		}
	}
	slices.Sort(usable)
	why := ""
	if registered {
		why = " (its constructor is nil, as that of Framed is if a function is missing)"
	}
	return nil, fmt.Errorf("%w %.64q%s, registered are %q", ErrUnknownType, t, why, usable)
}
