package test

import (
	"context"
	"testing"

	"geerpc"
)

// An interceptor that takes an error for success, or never calls next, has no
// reply to offer for a method that does not exist. Any client can ask for one.
func TestG72_InterceptorSwallowsUnknownMethod(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.Interceptors = []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, serviceMethod string, args, reply any) error {
				if serviceMethod == geerpc.UnknownMethod {
					return nil
				}
				return next(ctx, serviceMethod, args, reply)
			}
		}}
		client := e.dial(nil)
		err := client.Call(context.Background(), "No.Where", Args{}, new(Reply))
		wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
		var reply Reply
		if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
			t.Errorf("the next call: %d, %v", reply.C, err)
		}
	})
}
