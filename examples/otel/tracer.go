package main

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"geerpc/middleware"
)

// A tracer has OpenTelemetry record the spans of a middleware.Trace.
type tracer struct{ trace.Tracer }

// Start begins a span. On a client its parent is the span that OpenTelemetry has
// in ctx; on a server it is the caller's.
func (t tracer) Start(ctx context.Context, s middleware.SpanStart) (context.Context, middleware.Span) {
	kind := trace.SpanKindClient
	if s.Server {
		kind = trace.SpanKindServer
		ctx = trace.ContextWithRemoteSpanContext(ctx, toOTel(s.Parent))
	}
	ctx, otelSpan := t.Tracer.Start(ctx, s.Name, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String(middleware.AttrSystem, middleware.SystemName),
		attribute.String(middleware.AttrMethod, s.Method)))
	return ctx, span{otelSpan}
}

// A span is one of OpenTelemetry's.
type span struct{ trace.Span }

func (s span) TraceContext() middleware.TraceContext {
	c := s.SpanContext()
	return middleware.TraceContext{TraceID: c.TraceID(), SpanID: c.SpanID(), Flags: byte(c.TraceFlags()),
		State: c.TraceState().String()}
}

func (s span) End(status string, err error) {
	s.SetAttributes(attribute.String(middleware.AttrStatus, status))
	if err != nil {
		s.SetAttributes(attribute.String(middleware.AttrErrorType, status))
		s.SetStatus(codes.Error, err.Error())
	}
	s.Span.End()
}

// toOTel returns a trace context as OpenTelemetry has it.
func toOTel(c middleware.TraceContext) trace.SpanContext {
	state, err := trace.ParseTraceState(c.State)
	if err != nil { // as without one
		slog.Debug("tracestate", "err", err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: c.TraceID, SpanID: c.SpanID,
		TraceFlags: trace.TraceFlags(c.Flags), TraceState: state, Remote: true})
}
