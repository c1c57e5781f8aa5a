package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"geerpc"
	"geerpc/middleware"
)

// Kitchen is the service: put yours in its place.
type Kitchen struct{}

// Cook takes as long as it is told to, unless its caller gives up before.
func (Kitchen) Cook(ctx context.Context, takes time.Duration, dish *string) error {
	select {
	case <-time.After(takes):
		*dish = "soup"
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve serves at addr until SIGTERM, and then waits up to drain for calls to finish.
// Metrics and the debug page are at another address, which only operators may reach.
func serve(addr, operators, dir string, drain time.Duration, log *slog.Logger) error {
	tokens := map[string]string{"waiter": os.Getenv("TOKEN")} // an empty one is never accepted
	auth := &middleware.Authorize{
		Identify: []middleware.Identify{middleware.ByToken("authorization", tokens)},
		Rules:    []middleware.Rule{middleware.Allow("waiter", "Kitchen.*")},
	}
	byCaller := func(ctx context.Context, _ string) string { return auth.Identity(ctx) }
	limit := &middleware.RateLimit{Calls: 100, Key: byCaller} // a second
	trace := &middleware.Trace{Tracer: spans{log}}            // or OpenTelemetry's, see examples/otel
	metrics := &middleware.Metrics{ServerMethods: []string{"Kitchen.Cook"}}
	calls := &middleware.Log{Logger: log}
	server := &geerpc.Server{
		Logger:        log,
		MaxConns:      1000,
		HandleTimeout: 10 * time.Second,
		Admit:         []func(context.Context, string) error{metrics.Admit(auth.Admit), metrics.Admit(limit.Admit)},
		Interceptors:  []geerpc.Interceptor{trace.Server, metrics.Server, calls.Server},
	}
	files := &geerpc.TLSFiles{CertFile: dir + "/server.pem", KeyFile: dir + "/server.key", CAFile: dir + "/ca.pem", Logger: log}
	config, tlsErr := files.Server() // with a CAFile: clients must have a certificate
	lis, lisErr := net.Listen("tcp", addr)
	web, webErr := net.Listen("tcp", operators)
	if err := errors.Join(tlsErr, lisErr, webErr, server.Register(Kitchen{})); err != nil {
		return err
	}
	http.Handle("/metrics", metrics)
	http.Handle("/debug/geerpc", server.DebugHandler())
	go http.Serve(web, nil) // ends with the process

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	served := make(chan error, 1)
	go func() { served <- server.Serve(tls.NewListener(lis, config)) }()
	log.Info("serving", "addr", lis.Addr().String(), "operators", web.Addr().String())
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		stop() // a second signal ends the process at once
	}
	log.Info("shutting down")
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	return server.Shutdown(ctx)
}
