package codec

import (
	"strings"
	"testing"
)

// A connection does not remember a long name, which a peer may have made up.
func TestC17_LongNamesAreForgotten(t *testing.T) {
	var c framed
	long := strings.Repeat("x", maxNameBytes+1)
	if c.name([]byte("A.B")) != "A.B" || c.name([]byte(long)) != long || c.last != "A.B" {
		t.Errorf("the latest name is %.20q", c.last)
	}
}
