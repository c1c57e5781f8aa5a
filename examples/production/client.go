package main

import (
	"context"
	"log/slog"
	"time"

	"geerpc"
	"geerpc/middleware"
	"geerpc/xclient"
)

// newClient returns a client that connects when it is called, and again when that is
// necessary. One is enough for a process; Shutdown ends it. The metrics may be those
// of a server in the same process.
func newClient(addr, dir, token string, metrics *middleware.Metrics, log *slog.Logger) (*xclient.XClient, error) {
	files := &geerpc.TLSFiles{CertFile: dir + "/client.pem", KeyFile: dir + "/client.key", CAFile: dir + "/ca.pem", Logger: log}
	config, err := files.Client()
	if err != nil {
		return nil, err
	}
	authorize := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			return next(geerpc.WithMetadata(ctx, geerpc.Metadata{"authorization": token}), serviceMethod, args, reply)
		}
	}
	trace := &middleware.Trace{Tracer: spans{log}}
	calls := &middleware.Log{Logger: log}
	timeout := &middleware.Timeout{Default: 2 * time.Second} // outside of the breaker, which looks at deadlines
	breaker := &middleware.Breaker{OnChange: func(method string, from, to middleware.BreakerState) {
		log.Warn("breaker", "method", method, "from", from.String(), "to", to.String())
	}}
	servers := xclient.NewMultiServerDiscovery([]string{"tls@" + addr}) // or a registry's
	return xclient.New(servers, xclient.Config{
		Option: &geerpc.Option{ConnectTimeout: 5 * time.Second, TLSConfig: config, Logger: log},
		Interceptors: []geerpc.Interceptor{trace.Client, metrics.Client, calls.Client, timeout.Intercept,
			authorize, breaker.Intercept},
	}), nil
}
