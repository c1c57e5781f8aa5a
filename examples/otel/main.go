// Otel shows one trace through a client, a server and a second server, recorded
// by the real OpenTelemetry SDK:
//
//	cd examples/otel && go run .
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"geerpc"
	"geerpc/middleware"
)

// Stock is the second server's service.
type Stock struct{}

// Take takes things, if they are there.
func (Stock) Take(thing string, left *int) error {
	if thing != "chair" {
		return geerpc.Errorf(geerpc.CodeNotFound, "no %s here", thing)
	}
	*left = 6
	return nil
}

// Shop is the first server's service. It calls the second.
type Shop struct{ stock *geerpc.Client }

// Buy buys a thing. Its context continues the caller's trace.
func (s Shop) Buy(ctx context.Context, thing string, left *int) error {
	return s.stock.Call(ctx, "Stock.Take", thing, left)
}

func main() {
	spans, err := run()
	if err != nil {
		log.Fatal(err)
	}
	printTree(os.Stdout, spans)
}

// run makes two calls in one trace, and returns its spans.
func run() (tracetest.SpanStubs, error) {
	exporter := tracetest.NewInMemoryExporter() // in its place, one that sends spans
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	defer provider.Shutdown(context.Background())
	otel := provider.Tracer("geerpc/examples/otel")
	calls := &middleware.Trace{Tracer: tracer{otel}}

	stock, stopStock, err := serve(calls, Stock{})
	if err != nil {
		return nil, err
	}
	defer stopStock()
	shop, stopShop, err := serve(calls, Shop{stock})
	if err != nil {
		return nil, err
	}
	defer stopShop()

	ctx, visit := otel.Start(context.Background(), "visit")
	good := shop.Call(ctx, "Shop.Buy", "chair", new(int))
	bad := shop.Call(ctx, "Shop.Buy", "unicorn", new(int))
	visit.End()
	if good != nil || bad == nil {
		return nil, fmt.Errorf("a chair: %v; a unicorn: %v", good, bad)
	}
	stopShop() // all spans have ended once the servers have
	stopStock()
	return exporter.GetSpans(), nil
}

// serve serves a value in the process, and returns a client of it.
func serve(calls *middleware.Trace, service any) (client *geerpc.Client, stop func(), err error) {
	server := &geerpc.Server{Interceptors: []geerpc.Interceptor{calls.Server}}
	if err := server.Register(service); err != nil {
		return nil, nil, err
	}
	lis := geerpc.NewPipeListener()
	go server.Serve(lis) // ends at Close
	client, err = geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext,
		Interceptors: []geerpc.Interceptor{calls.Client}})
	stop = func() {
		if client != nil {
			client.Close()
		}
		if err := server.Close(); err != nil && !errors.Is(err, geerpc.ErrServerClosed) {
			log.Print(err)
		}
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return client, stop, nil
}
