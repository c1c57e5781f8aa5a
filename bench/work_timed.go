package main

import (
	"context"
	"time"
)

// callTimeout is far enough away for all calls that have to be done in time.
const callTimeout = 5 * time.Second

// withDeadline makes a call as a user does who wants it done in time.
func withDeadline(call func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(background, callTimeout)
	defer cancel()
	return call(ctx)
}

// ended looks at Done, as a method does that may have to stop. It returns why ctx has
// ended, or nil.
func ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	default:
		return nil
	}
}

// TimedWork is Work for libraries whose methods get the caller's deadline.
type TimedWork struct{ Work }

// AddInTime adds, unless it is too late.
func (w TimedWork) AddInTime(ctx context.Context, args Args, reply *Reply) error {
	if err := ended(ctx); err != nil {
		return err
	}
	return w.Add(args, reply)
}
