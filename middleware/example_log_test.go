package middleware_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"geerpc"
	"geerpc/middleware"
)

// Stock is the service of the examples of what makes calls visible.
type Stock struct{}

// Reserve reserves a thing, unless nobody has it.
func (Stock) Reserve(thing string, left *int) error {
	if thing != "chair" {
		return geerpc.Errorf(geerpc.CodeNotFound, "no %s here", thing)
	}
	*left = 7
	return nil
}

// serveStock serves a Stock in the process, and returns a client of it.
func serveStock(interceptors ...geerpc.Interceptor) (client *geerpc.Client, stop func()) {
	server := &geerpc.Server{Interceptors: interceptors}
	err := server.Register(Stock{})
	lis := geerpc.NewPipeListener()
	go server.Serve(lis) // ends at Close
	client, dialErr := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext})
	if err := errors.Join(err, dialErr); err != nil {
		panic(err)
	}
	return client, func() {
		client.Close()
		server.Close()
	}
}

func ExampleLog() {
	noTimes := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Value.Kind() == slog.KindDuration {
			return slog.Attr{}
		}
		return a
	}
	calls := &middleware.Log{
		Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTimes})),
		Every:  -1, // only failures, and what takes
		Slow:   time.Minute,
	}
	client, stop := serveStock(calls.Server)
	defer stop()
	for _, thing := range []string{"chair", "unicorn"} {
		client.Call(context.Background(), "Stock.Reserve", thing, new(int))
	}
	// Output:
	// level=INFO msg="rpc server: call" method=Stock.Reserve code="not found" err="no unicorn here" where="in the method" ran=yes peer=pipe skipped=1
}
