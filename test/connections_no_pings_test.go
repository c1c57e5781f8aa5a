package test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestPingsTurnedOff: a client that never asks can't take silence for death.
func TestPingsTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", "")
		client := e.dial(&geerpc.Option{PingInterval: -1})
		time.Sleep(time.Minute) // less than the server's ReadTimeout
		if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
			t.Error(err)
		}
	})
}
