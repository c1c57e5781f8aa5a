// Package token compares secrets.
package token

import (
	"crypto/sha256"
	"crypto/subtle"
)

// Equal reports whether two tokens are the same. How long it takes depends on
// the length of the tokens only.
func Equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
