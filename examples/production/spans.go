package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"time"

	"geerpc/middleware"
)

// spans is a middleware.Tracer that writes a line for each span. It stands for a
// tracing system's, so that this example needs none.
type spans struct{ log *slog.Logger }

// Start begins a span, in its parent's trace or in a new one.
func (t spans) Start(ctx context.Context, s middleware.SpanStart) (context.Context, middleware.Span) {
	c := s.Parent
	if !c.Valid() {
		c = middleware.TraceContext{Flags: middleware.FlagSampled | middleware.FlagRandom}
		rand.Read(c.TraceID[:])
	}
	rand.Read(c.SpanID[:])
	return ctx, &span{t.log, s, c, time.Now()}
}

// A span is a call while it lasts.
type span struct {
	log     *slog.Logger
	start   middleware.SpanStart
	context middleware.TraceContext
	begin   time.Time
}

func (s *span) TraceContext() middleware.TraceContext { return s.context }

// End writes the line.
func (s *span) End(status string, err error) {
	s.log.Info("span", "name", s.start.Name, "server", s.start.Server, "status", status, "duration", time.Since(s.begin),
		"trace_id", hex.EncodeToString(s.context.TraceID[:]), "span_id", hex.EncodeToString(s.context.SpanID[:]),
		"parent_id", hex.EncodeToString(s.start.Parent.SpanID[:]))
}
