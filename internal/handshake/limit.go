package handshake

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"

	"geerpc/codec"
)

// A Limit is a limit that a peer announces. Zero and negative numbers are no limit,
// unless a field says otherwise. A number that is too large for an int64 is read as
// -1.
type Limit int64

// UnmarshalJSON implements json.Unmarshaler.
func (l *Limit) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(string(data), 64) // other languages may write large numbers as 1e18
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return &json.UnmarshalTypeError{Value: jsonKinds[data[0]], Type: reflect.TypeFor[Limit]()}
		}
		if n = int64(f); f < 0 || f >= math.MaxInt64 {
			n = -1
		}
	}
	*l = Limit(n)
	return nil
}

// jsonKinds names the kinds of JSON values that are not numbers, by their first
// byte.
var jsonKinds = map[byte]string{'"': "string", '{': "object", '[': "array", 't': "bool", 'f': "bool"}

// Int returns the limit as an int, and 0 for no limit. On a machine with 32 bits
// nothing is larger than an int.
func (l Limit) Int() int { return int(min(max(int64(l), 0), math.MaxInt)) }

// A limit of gob type definitions is announced in another way than the others,
// because peers that announce nothing keep to the default: zero is the default, and
// a negative number is no limit. On a connection, zero is no limit.

// announceDefinitions returns how a limit is announced.
func announceDefinitions(limit int) Limit {
	switch limit {
	case 0:
		return -1
	case codec.DefaultMaxDefinitionBytes:
		return 0
	}
	return Limit(limit)
}

// acceptedDefinitions returns the limit that a peer has announced.
func acceptedDefinitions(announced Limit) int {
	if announced == 0 {
		return codec.DefaultMaxDefinitionBytes
	}
	return announced.Int()
}
