package middleware_test

import (
	"context"
	"fmt"
	"strings"

	"geerpc/middleware"
)

func ExampleMetrics() {
	metrics := &middleware.Metrics{ServerMethods: []string{"Stock.Reserve"}}
	// mux.Handle("/metrics", metrics), expvar.Publish("rpc", metrics)
	client, stop := serveStock(metrics.Server)
	defer stop()
	for _, thing := range []string{"chair", "chair", "unicorn"} {
		client.Call(context.Background(), "Stock.Reserve", thing, new(int))
	}
	client.Call(context.Background(), "Made.Up", 0, nil)

	var text strings.Builder
	metrics.WriteText(&text)
	for line := range strings.Lines(text.String()) { // some of them
		if strings.Contains(line, "_count") && !strings.HasSuffix(line, " 0\n") {
			fmt.Print(strings.ReplaceAll(strings.ReplaceAll(line, "{", " {\n  "), ",", ",\n  "))
		}
	}
	// Output:
	// rpc_server_call_duration_seconds_count {
	//   otel_scope_name="geerpc/middleware",
	//   rpc_system_name="geerpc",
	//   rpc_method="Stock.Reserve",
	//   rpc_status_code="OK"} 2
	// rpc_server_call_duration_seconds_count {
	//   otel_scope_name="geerpc/middleware",
	//   rpc_system_name="geerpc",
	//   rpc_method="Stock.Reserve",
	//   rpc_status_code="NOT_FOUND",
	//   error_type="NOT_FOUND"} 1
	// rpc_server_call_duration_seconds_count {
	//   otel_scope_name="geerpc/middleware",
	//   rpc_system_name="geerpc",
	//   rpc_method="_OTHER",
	//   rpc_status_code="NOT_FOUND",
	//   error_type="NOT_FOUND"} 1
}
