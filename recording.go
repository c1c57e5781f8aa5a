package geerpc

import (
	"fmt"
	"strings"
	"time"

	"geerpc/internal/callstats"
	"geerpc/internal/debugpage"
	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
)

// Recording: what the debug page tells of calls that have ended. See package callstats.

// record counts a call that has ended now, with an *Error or nil. If it failed before its
// method began, it has no latency: under load, when many calls come too late to run, the
// method would look quick.
func (c *servedCall) record(err error, now, took time.Duration) {
	if c.answered.Load() && c.hasBegun() {
		err = nil // the handle timeout has answered, and counted that
	} else if c.answered.Load() {
		err = errHandleTimeout
	}
	stats, code := &c.method.stats, uint8(CodeOf(err))
	keep := false
	if err != nil && !c.hasBegun() {
		keep = stats.RecordRefused(now, code)
	} else {
		keep = stats.Record(now, took, code)
	}
	if keep {
		c.keepSample(took, err)
	}
}

// recordRejected counts a call that takes no slot as one that has failed. One of an unknown
// method has been counted.
func (c *servedCall) recordRejected(why *Error) {
	if c.method == nil {
		return
	}
	c.method.begun.Add(1)
	if c.method.stats.RecordRefused(monotime.Now(), uint8(why.Code)) {
		c.keepSample(0, why)
		c.conn.note("refused: %.256s", usercode.ErrorText(why))
	}
}

var errHandleTimeout error = &Error{Code: CodeDeadlineExceeded, Message: "rpc server: request handle timeout"}

// recordExpired counts the failure of a call that its handle timeout has answered, while
// the method runs.
func (c *servedCall) recordExpired(why *Error, handle time.Duration) {
	if c.method != nil && c.method.stats.RecordFailure(monotime.Now(), uint8(why.Code)) {
		c.keepSample(handle, why)
	}
}

// keepSample keeps a call that has ended, for people to look at.
func (c *servedCall) keepSample(took time.Duration, err error) {
	sample := callstats.Sample{At: time.Now(), Took: took, Code: uint8(CodeOf(err)), Peer: addressOf(c.conn.peer.Addr)}
	if err != nil {
		sample.Error = fmt.Sprintf("%.256s", err)
	}
	if c.ctx != nil {
		sample.Trace = traceID(c.ctx.metadata["traceparent"])
	}
	c.method.stats.Keep(sample)
}

// note notes something out of the ordinary about the connection. The caller must not hold
// its mu.
func (c *conn) note(format string, a ...any) {
	e := debugpage.Event{At: time.Now(), What: fmt.Sprintf(format, a...)}
	c.update(func(s *connState) {
		s.events = append(s.events, e)
		s.events = s.events[max(0, len(s.events)-debugpage.MaxEvents):]
	})
}

// recordRefused counts something that was refused, and keeps the reason.
func (c *conn) recordRefused(in *callstats.Refusals, why error) {
	in.Add(fmt.Sprintf("%.256s", usercode.ErrorText(why)), addressOf(c.peer.Addr))
}

// traceID returns the trace's id that a W3C traceparent has, "" if it is none.
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return strings.Clone(parts[1]) // or it would keep all of the text
}
