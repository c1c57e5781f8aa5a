package xclient

import "context"

type idempotentKey struct{}

// Idempotent returns a context that marks calls as ones which may run more
// than once: on two servers at the same time, or again after an attempt of
// which nobody knows whether it ran. Reading is such a call, and so is setting
// a value, but not adding to it. Without the mark a call is made again only if
// it certainly never ran.
//
// All calls made with the context have the mark, and with those made from it:
// whoever is given the context, and calls something else with it, has that
// repeated too. So mark it in the argument of the one call:
//
//	err := xc.Call(xclient.Idempotent(ctx), "Arith.Add", args, &sum)
//
// The mark does not travel to the server: the context that a method gets, also
// in the same process, has none for its own calls. See Retry and Hedge for what
// it does.
func Idempotent(ctx context.Context) context.Context {
	return context.WithValue(ctx, idempotentKey{}, true)
}

func idempotent(ctx context.Context) bool { return ctx.Value(idempotentKey{}) != nil }
