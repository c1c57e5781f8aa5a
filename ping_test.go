package geerpc

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestPing(t *testing.T) {
	for _, transport := range transports {
		for _, c := range codecs {
			t.Run(transport+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, transport, c)
				client := e.dial(nil)
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						if err := client.Ping(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := client.Ping(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("with a context that has ended: %v", err)
				}
				client.Close()
				if err := client.Ping(t.Context()); !errors.Is(err, ErrShutdown) {
					t.Errorf("after Close: %v", err)
				}
			})
		}
	}
}

// An old server is not asked: it would take the ping for a call.
func TestPing_OldServer(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	client := e.dial(&Option{Legacy: true})
	wantError(t, client.Ping(t.Context()), CodeUnimplemented, InClient, RanNever)
}

// A server that says nothing is waited for as long as the caller wants, or the
// client is there.
func TestPing_NoAnswer(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	client := e.dial(nil)
	if err := client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.onlyConn().link.Mute() // its pongs are dropped
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantError(t, client.Ping(ctx), CodeDeadlineExceeded, OnLink, RanNever)
	failed := make(chan error, 1)
	go func() { failed <- client.Ping(context.Background()) }()
	eventually(t, "it waits", func() bool {
		client.pings.mu.Lock()
		defer client.pings.mu.Unlock()
		return client.pings.next != nil
	})
	client.Close()
	if err := <-failed; !errors.Is(err, ErrShutdown) {
		t.Errorf("a ping when the client was closed: %v", err)
	}
}
