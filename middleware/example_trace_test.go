package middleware_test

import (
	"context"
	"fmt"

	"geerpc"
	"geerpc/middleware"
)

// A trace that came by HTTP goes on with the calls of its handler.
func ExampleTrace() {
	show := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			fmt.Println(geerpc.MetadataFrom(ctx)["traceparent"])
			return next(ctx, serviceMethod, args, reply)
		}
	}
	client, stop := serveStock(show)
	defer stop()
	call := new(middleware.Trace).Client(client.Call) // or in Option.Interceptors

	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := context.Background()
	if trace, ok := middleware.ParseTraceContext(header, ""); ok {
		ctx = middleware.WithTraceContext(ctx, trace)
	}
	call(ctx, "Stock.Reserve", "chair", new(int))
	// Output: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
}
