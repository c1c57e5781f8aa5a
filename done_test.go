package geerpc

import (
	"context"
	"strings"
	"testing"

	"geerpc/internal/rpctest"
)

// gated offers Test.Wait, which returns once Test.Open has been called.
func gated(t *testing.T, e *env) {
	t.Helper()
	gate := make(chan struct{})
	err := RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (int, error) {
		select {
		case <-gate:
		case <-ctx.Done():
		}
		return 0, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	RegisterFunc(e.Server, "Test.Open", func(context.Context, Args) (int, error) { close(gate); return 0, nil })
}

// wantAnnouncementLogged checks that a call which found its Done channel closed
// has cost nothing but itself.
func wantAnnouncementLogged(t *testing.T, client *Client, log *rpctest.LogBuffer) {
	t.Helper()
	eventually(t, "a message", func() bool { return strings.Contains(log.String(), "Done channel is closed") })
	var reply Reply
	if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
		t.Errorf("the next call: %d, %v", reply.C, err)
	}
}

// TestC142_DoneChannelThatIsClosed before the reply comes: the reader, which
// sends the call on it, would panic, and the process end.
func TestC142_DoneChannelThatIsClosed(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		gated(t, e)
		logger, log := listenIn()
		client := e.dial(&Option{Logger: logger})
		done := make(chan *Call, 1)
		client.Go("Test.Wait", Args{}, nil, done)
		close(done)
		if err := client.Call(context.Background(), "Test.Open", Args{}, nil); err != nil {
			t.Error(err)
		}
		wantAnnouncementLogged(t, client, log)
	})
}

// TestC142_AtOnce is the same for calls that fail before they are sent, and
// for calls that interceptors make.
func TestC142_AtOnce(t *testing.T) {
	for name, interceptors := range map[string][]Interceptor{"plain": nil, "intercepted": {func(next CallFunc) CallFunc { return next }}} {
		t.Run(name, func(t *testing.T) {
			logger, log := listenIn()
			client := newEnv(t, "pipe", "application/gob").dial(&Option{Logger: logger, Interceptors: interceptors})
			done := make(chan *Call)
			close(done)
			client.Go("Arith.Add", make(chan int), nil, done)
			wantAnnouncementLogged(t, client, log)
		})
	}
}
