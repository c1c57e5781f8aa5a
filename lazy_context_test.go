package geerpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/lazyctx"
)

// A client waits for a context that is made on demand without making it. The context
// ends the call all the same, and says why, in each way in which it can end; and the
// client's next call is not ended by what is left of that.
func TestCall_LazyContext(t *testing.T) {
	for _, c := range []struct {
		name string
		left time.Duration
		end  func(ctx *lazyctx.Context, endParent func())
		want error
	}{
		{"deadline", 20 * time.Millisecond, func(*lazyctx.Context, func()) {}, context.DeadlineExceeded},
		{"cancelled", time.Hour, func(ctx *lazyctx.Context, _ func()) { ctx.Cancel() }, context.Canceled},
		{"parent ended", time.Hour, func(_ *lazyctx.Context, endParent func()) { endParent() }, context.Canceled},
		{"needed by others too", time.Hour, func(ctx *lazyctx.Context, _ func()) { ctx.Done(); ctx.Cancel() }, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newEnv(t, "pipe", codec.GobType).dial(nil)
			parent, endParent := context.WithCancel(t.Context())
			defer endParent()
			ctx := &lazyctx.Context{Parent: parent, At: time.Now().Add(c.left)}
			failed := make(chan error, 1)
			go func() { failed <- client.Call(ctx, "Arith.Block", Args{}, nil) }() // ends with ctx
			eventually(t, "a call in flight", func() bool { return client.inFlight.Len() == 1 || len(failed) > 0 })
			c.end(ctx, endParent)
			if err := <-failed; !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			for range 10 {
				next := &lazyctx.Context{Parent: t.Context(), At: time.Now().Add(time.Hour)}
				var reply Reply
				if err := client.Call(next, "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
					t.Errorf("the next call: %v, %v", reply, err)
				}
				next.Cancel()
			}
		})
	}
}

// The same as TestC26_CancelAtAnyMoment, for contexts that are made on demand.
func TestCall_LazyContextAtAnyMoment(t *testing.T) {
	client := newEnv(t, "tcp", codec.GobType).dial(nil)
	parent, endParent := context.WithCancel(t.Context())
	defer endParent()
	for i := range 1000 {
		ctx := &lazyctx.Context{Parent: parent, At: time.Now().Add(rand.N(200 * time.Microsecond))}
		if i%2 == 0 {
			ctx.At = time.Now().Add(time.Hour)
			defer time.AfterFunc(rand.N(200*time.Microsecond), func() { ctx.Cancel() }).Stop()
		}
		var reply Reply
		err := client.Call(ctx, "Arith.Add", Args{i, 1}, &reply)
		if err != nil {
			<-ctx.Done() // a deadline has passed a moment before its timer fires
		}
		if err == nil && reply.C != i+1 || err != nil && (ctx.Err() == nil || !errors.Is(err, ctx.Err()) || reply.C != 0) {
			t.Fatalf("%d, %v, and the context has %v", reply.C, err, ctx.Err())
		}
		ctx.Cancel()
	}
}
