package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"geerpc"
	"geerpc/middleware"
)

// Text is a service.
type Text struct{}

// Upper returns a text in capitals.
func (Text) Upper(text string, reply *string) error {
	*reply = strings.ToUpper(text)
	return nil
}

// serve serves Text with interceptors, and returns a client of it.
func serve(interceptors ...geerpc.Interceptor) (client *geerpc.Client, stop func()) {
	server := geerpc.NewServer()
	server.Interceptors = interceptors
	if err := server.Register(Text{}); err != nil {
		panic(err)
	}
	lis := geerpc.NewPipeListener()
	go server.Serve(lis) // ends at Close
	client, err := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext})
	if err != nil {
		panic(err)
	}
	return client, func() {
		client.Close()
		server.Close()
	}
}

func ExampleRateLimit() {
	limit := &middleware.RateLimit{Calls: 1, Burst: 2, Key: middleware.ByPeer}
	client, stop := serve(limit.Intercept)
	defer stop()

	for range 3 {
		var reply string
		err := client.Call(context.Background(), "Text.Upper", "hello", &reply)
		fmt.Println(reply, geerpc.CodeOf(err))
	}
	fmt.Println(limit.Refused())
	// Output:
	// HELLO ok
	// HELLO ok
	//  resource exhausted
	// map[no token left:1]
}

func ExampleRefusal() {
	limit := &middleware.RateLimit{Calls: 1}
	call := limit.Intercept(func(context.Context, string, any, any) error { return nil })

	call(context.Background(), "Text.Upper", "hello", nil)
	err := call(context.Background(), "Text.Upper", "hello", nil)
	var r *middleware.Refusal
	var e *geerpc.Error
	if errors.As(err, &r) && errors.As(err, &e) {
		fmt.Printf("%s: %s; ran: %v\n", r.By, r.Reason, e.Ran)
	}
	// Output: rate limit: no token left; ran: never
}

func ExampleBreaker() {
	breaker := &middleware.Breaker{
		MinCalls: 5,
		OnChange: func(method string, from, to middleware.BreakerState) {
			fmt.Println(method, "was", from, "and is", to)
		},
	}
	down := geerpc.Error{Code: geerpc.CodeUnavailable, Message: "no server", Where: geerpc.OnLink}
	call := breaker.Intercept(func(context.Context, string, any, any) error { return &down })

	for range 6 {
		err := call(context.Background(), "Text.Upper", "hello", nil)
		fmt.Println(strings.Split(err.Error(), ";")[0])
	}
	// Output:
	// no server
	// no server
	// no server
	// no server
	// Text.Upper was closed and is open
	// no server
	// rpc: refused by breaker: open
}

func ExampleConcurrency() {
	limit := &middleware.Concurrency{Limit: 1} // zero: it finds the limit itself
	client, stop := serve(limit.Intercept, func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			err := limit.Intercept(next)(ctx, serviceMethod, args, reply) // a second slot
			fmt.Println("inside:", err)
			return next(ctx, serviceMethod, args, reply)
		}
	})
	defer stop()

	var reply string
	err := client.Call(context.Background(), "Text.Upper", "hello", &reply)
	fmt.Println("outside:", reply, err)
	// Output:
	// inside: rpc: refused by concurrency: all slots are taken
	// outside: HELLO <nil>
}

func ExampleShed() {
	shed := &middleware.Shed{Concurrency: &middleware.Concurrency{}}
	call := shed.Intercept(func(context.Context, string, any, any) error { return nil })

	ctx, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	err := call(ctx, "Text.Upper", "hello", nil)
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), shed.Refused())
	// Output:
	// rpc: refused by shed: expired
	// true map[expired:1]
}

func ExampleAuthorize() {
	auth := &middleware.Authorize{
		Identify: []middleware.Identify{
			middleware.ByCertificate, // for those who have one
			middleware.ByToken("authorization", map[string]string{"ann": "s3cret"}),
		},
		Rules: []middleware.Rule{
			middleware.Allow("ann", "Text.*"),
			middleware.Allow("*", "Health.Check"),
		},
	}
	client, stop := serve(auth.Intercept)
	defer stop()

	for _, token := range []string{"s3cret", "guess"} {
		ctx := geerpc.WithMetadata(context.Background(), geerpc.Metadata{"authorization": token})
		var reply string
		err := client.Call(ctx, "Text.Upper", "hello", &reply)
		fmt.Println(reply, geerpc.CodeOf(err))
	}
	// Output:
	// HELLO ok
	//  unauthenticated
}

func ExampleTimeout() {
	timeout := &middleware.Timeout{Default: time.Second, Max: time.Minute}
	call := timeout.Intercept(func(ctx context.Context, _ string, _, _ any) error {
		deadline, _ := ctx.Deadline()
		fmt.Println(time.Until(deadline).Round(time.Second))
		return nil
	})

	call(context.Background(), "Text.Upper", "hello", nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	call(ctx, "Text.Upper", "hello", nil)
	// Output:
	// 1s
	// 1m0s
}
