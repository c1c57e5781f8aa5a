package codec

import (
	"strings"
	"testing"
)

// A long name that a peer has made up does not stay with the connection.
func TestC17_LongNamesAreForgotten(t *testing.T) {
	var c framed
	long := strings.Repeat("x", maxNameBytes+1)
	if c.name([]byte("A.B")) != "A.B" || c.name([]byte(long)) != long || c.last != "A.B" {
		t.Errorf("the latest name is %.20q", c.last)
	}
}
