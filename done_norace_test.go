//go:build !race

package geerpc

import (
	"testing"
)

// TestC142_WhileACallWaits closes a Done channel that a call is about to be
// sent on. The race detector would rightly complain of such a program.
func TestC142_WhileACallWaits(t *testing.T) {
	logger, log := listenIn()
	client := newEnv(t, "pipe", "application/gob").dial(&Option{Logger: logger})
	done := make(chan *Call)
	var reply Reply
	client.Go("Arith.Add", Args{1, 2}, &reply, done)
	eventually(t, "the reply", func() bool { return client.inFlight.Len() == 0 })
	close(done)
	wantAnnouncementLogged(t, client, log)
}
