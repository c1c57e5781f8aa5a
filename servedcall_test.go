package geerpc

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"geerpc/internal/wire"
)

func TestCalls(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				var reply Reply
				if err := client.Call(context.Background(), "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
					t.Errorf("Add(%d, 1) = %d, %v", i, reply.C, err)
				}
			})
		}
		wg.Wait()
	})
}

// A link that fails refuses messages at once and ends its context a moment
// later. A call in between failed as one whose arguments can't be encoded.
func TestCallWhileLinkFails(t *testing.T) {
	client := newEnv(t, "pipe", framedJSON).dial(nil)
	out, refused, failed := client.link.Out, make(chan struct{}), make(chan struct{})
	client.link.Out = wire.NewWriter(io.Discard, -1, func(err error) { <-refused; out.Fail(err) })
	go func() { client.link.Fail(errors.New("cut")); close(failed) }()
	eventually(t, "the failure", func() bool { return client.link.Out.Err() != nil })
	err := client.Call(t.Context(), "Arith.Add", Args{1, 1}, nil)
	close(refused)
	<-failed
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
	if !errors.Is(err, ErrShutdown) {
		t.Error(err)
	}
}
