package main

import (
	"strings"
	"testing"

	"geerpc/middleware"
)

// TestOneTrace follows two calls through both servers.
func TestOneTrace(t *testing.T) {
	spans, err := run()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range spans {
		if s.SpanContext.TraceID() != spans[0].SpanContext.TraceID() {
			t.Errorf("%s is in another trace", s.Name)
		}
	}
	var tree strings.Builder
	printTree(&tree, spans)
	const call = `  client Shop.Buy OK
    server Shop.Buy OK
      client Stock.Take OK
        server Stock.Take OK
`
	want := "internal visit\n" + call + strings.ReplaceAll(call, "OK", "NOT_FOUND")
	if tree.String() != want {
		t.Errorf("got\n%swant\n%s", &tree, want)
	}
}

// TestToOTel holds that nothing of a trace context is lost on its way to OpenTelemetry.
func TestToOTel(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"
	c, _ := middleware.ParseTraceContext(parent, "rojo=1")
	if o := toOTel(c); !o.IsRemote() || !o.IsSampled() || o.TraceID() != c.TraceID || o.TraceState().String() != "rojo=1" {
		t.Errorf("%v", o)
	}
}
