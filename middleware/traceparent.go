package middleware

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
)

// The flags of a TraceContext.
const (
	FlagSampled = 1 << iota // the caller may have recorded the call
	FlagRandom              // the last 7 bytes of the trace's id are random

	knownFlags = FlagSampled | FlagRandom
)

// A TraceContext says which trace a call belongs to, and which span of it makes
// the call: what W3C's recommendation Trace Context (level 2) puts in traceparent
// and tracestate.
type TraceContext struct {
	TraceID [16]byte // not zero
	SpanID  [8]byte  // not zero; the recommendation calls it parent-id
	Flags   byte     // FlagSampled, FlagRandom

	// State is what tracing systems say beside that, such as
	// "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", of at most 512 bytes.
	State string
}

// Valid reports whether neither id is zero.
func (c TraceContext) Valid() bool { return c.TraceID != [16]byte{} && c.SpanID != [8]byte{} }

const traceparentBytes = 55 // of version 00

// Traceparent returns c as a traceparent of version 00, such as
// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01". Flags that the
// version does not know are left out.
func (c TraceContext) Traceparent() string {
	text := make([]byte, 0, traceparentBytes)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, c.TraceID[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, c.SpanID[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, []byte{c.Flags & knownFlags})
	return string(text)
}

// ParseTraceContext returns what a traceparent and a tracestate say. It reports
// false if the traceparent is not valid: then the trace is unknown, whatever the
// tracestate says. A version above 00 is read as far as 00 goes. A tracestate
// that is not valid is left out; one of more than 512 bytes loses whole entries,
// first the last of those above 128 bytes, then the last.
func ParseTraceContext(traceparent, tracestate string) (TraceContext, bool) {
	c, ok := parseTraceparent(traceparent)
	if ok {
		c.State = cleanTracestate(tracestate)
	}
	return c, ok
}

func parseTraceparent(text string) (c TraceContext, ok bool) {
	if len(text) < traceparentBytes || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return c, false
	}
	var version, flags [1]byte
	ok = readHex(version[:], text[:2]) && readHex(c.TraceID[:], text[3:35]) &&
		readHex(c.SpanID[:], text[36:52]) && readHex(flags[:], text[53:55])
	switch {
	case !ok, !c.Valid(), version[0] == 0xff:
		return TraceContext{}, false
	case len(text) == traceparentBytes:
	case version[0] == 0, text[traceparentBytes] != '-':
		return TraceContext{}, false
	}
	c.Flags = flags[0] & knownFlags
	return c, true
}

// readHex reads lower-case hexadecimal digits.
func readHex(into []byte, text string) bool {
	for i := range into {
		high, low := hexDigit(text[2*i]), hexDigit(text[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		into[i] = high<<4 | low
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// The limits on a tracestate.
const (
	maxStateBytes   = 512 // are sent on
	maxStateEntries = 32
	largeEntryBytes = 128 // entries above this go first
	maxStateKey     = 256
	maxStateValue   = 256
)

// cleanTracestate returns a tracestate without blanks around entries and without
// empty entries, cut to size, or "" if it is not valid.
func cleanTracestate(text string) string {
	count, bytes := 0, 0
	for entry := range stateEntries(text) {
		if count++; count > maxStateEntries || !validStateEntry(entry) {
			return ""
		}
		bytes += len(entry) + len(",")
	}
	bytes -= len(",")
	if bytes == len(text) && bytes <= maxStateBytes {
		return text
	}
	return cutTracestate(slices.Collect(stateEntries(text)), bytes)
}

// stateEntries are the entries of a tracestate that are not empty.
func stateEntries(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for entry := range strings.SplitSeq(text, ",") {
			if entry = strings.Trim(entry, " \t"); entry != "" && !yield(entry) {
				return
			}
		}
	}
}

// cutTracestate joins the entries that fit.
func cutTracestate(entries []string, bytes int) string {
	for i := len(entries) - 1; i >= 0 && bytes > maxStateBytes; i-- {
		if len(entries[i]) > largeEntryBytes {
			bytes -= len(entries[i]) + len(",")
			entries = slices.Delete(entries, i, i+1)
		}
	}
	for bytes > maxStateBytes {
		last := len(entries) - 1
		bytes -= len(entries[last]) + len(",")
		entries = entries[:last]
	}
	return strings.Join(entries, ",")
}

func validStateEntry(entry string) bool {
	key, value, ok := strings.Cut(entry, "=")
	if !ok || key == "" || len(key) > maxStateKey || value == "" || len(value) > maxStateValue {
		return false
	}
	for i := range len(key) {
		c := key[i]
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("_-*/@", rune(c))) {
			return false
		}
	}
	for i := range len(value) {
		if c := value[i]; c < 0x20 || c > 0x7e || c == '=' {
			return false
		}
	}
	return true
}

type traceContextKey struct{}

// WithTraceContext returns a context whose calls belong to a trace. A server's
// Trace does this for its methods; it is for traces that come in some other way,
// such as by HTTP.
func WithTraceContext(ctx context.Context, c TraceContext) context.Context {
	return &tracedContext{ctx, c}
}

// A tracedContext is a context with a trace. It takes one allocation, a context.WithValue
// two.
type tracedContext struct {
	context.Context
	trace TraceContext
}

// Value implements context.Context.
func (c *tracedContext) Value(key any) any {
	if key == (traceContextKey{}) {
		return &c.trace
	}
	return c.Context.Value(key)
}

// TraceContextFrom returns the trace that the calls made with ctx belong to. It
// reports false if there is none.
func TraceContextFrom(ctx context.Context) (TraceContext, bool) {
	if c, _ := ctx.Value(traceContextKey{}).(*TraceContext); c != nil {
		return *c, c.Valid()
	}
	return TraceContext{}, false
}
