package xclient

import (
	"context"
	"time"

	"geerpc"
	"geerpc/internal/lazyctx"
)

// withTimeout gives calls a deadline that have none.
func withTimeout(d time.Duration, next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		if _, ok := ctx.Deadline(); ok {
			return next(ctx, serviceMethod, args, reply)
		}
		limited := &lazyctx.Context{Parent: ctx, At: time.Now().Add(d)}
		defer limited.Cancel()
		return next(limited, serviceMethod, args, reply)
	}
}

// withAttemptTimeout gives attempts a deadline, unless theirs is sooner.
func withAttemptTimeout(d time.Duration, next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		at := time.Now().Add(d)
		if deadline, ok := ctx.Deadline(); ok && !at.Before(deadline) {
			return next(ctx, serviceMethod, args, reply)
		}
		limited := &lazyctx.Context{Parent: ctx, At: at}
		defer limited.Cancel()
		return next(limited, serviceMethod, args, reply)
	}
}

// withDefaultTimeout returns a context that ends in time, unless ctx has a deadline
// of its own or there is no timeout.
func withDefaultTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || d <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
