package main

import (
	"fmt"
	"io"
	"strings"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"geerpc/middleware"
)

// printTree prints the spans below each other.
func printTree(w io.Writer, spans tracetest.SpanStubs) {
	children := make(map[trace.SpanID]tracetest.SpanStubs)
	for _, s := range spans {
		children[s.Parent.SpanID()] = append(children[s.Parent.SpanID()], s)
	}
	printBelow(w, children, trace.SpanID{}, 0)
}

func printBelow(w io.Writer, children map[trace.SpanID]tracetest.SpanStubs, parent trace.SpanID, depth int) {
	for _, s := range children[parent] {
		fmt.Fprintf(w, "%s%s %s%s\n", strings.Repeat("  ", depth), s.SpanKind, s.Name, statusOf(s))
		printBelow(w, children, s.SpanContext.SpanID(), depth+1)
	}
}

// statusOf returns the status of a call, behind a blank, or "" if s is none.
func statusOf(s tracetest.SpanStub) string {
	for _, a := range s.Attributes {
		if string(a.Key) == middleware.AttrStatus {
			return " " + a.Value.AsString()
		}
	}
	return ""
}
