package middleware

import (
	"bufio"
	"cmp"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// ServeHTTP answers with the metrics in Prometheus' text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "metrics are only read", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if r.Method == http.MethodGet {
		m.WriteText(w) // the only error is that the client has gone
	}
}

// WriteText writes the metrics in Prometheus' text format, for a page that has
// others too. They are named by OpenTelemetry's rules for Prometheus: unit and
// kind are part of a metric's name, what is no letter or digit becomes "_".
func (m *Metrics) WriteText(w io.Writer) error {
	m.once.Do(m.prepare)
	t := textWriter{bufio.NewWriterSize(w, 32<<10)}
	t.side("server", "incoming", &m.server)
	t.side("client", "outgoing", &m.client)
	return t.Flush()
}

// A textWriter writes Prometheus' text format.
type textWriter struct{ *bufio.Writer }

func (t textWriter) side(name, direction string, s *sideMetrics) {
	methods, refusals := s.methods.all(), s.refusals.all()
	names := slices.Sorted(maps.Keys(methods))
	if len(names) > 0 {
		t.durations("rpc_"+name+"_call_duration_seconds", direction, names, methods)
		t.inFlight("geerpc_"+name+"_calls_in_flight", direction, names, methods)
	}
	if len(refusals) > 0 {
		t.refusals("geerpc_"+name+"_calls_refused_total", direction, refusals)
	}
}

func (t textWriter) durations(metric, direction string, names []string, methods map[string]*methodMetrics) {
	t.head(metric, "histogram", "Duration of "+direction+" remote procedure calls.")
	for _, name := range names {
		for status := range statusNames {
			if h := methods[name].byStatus[status].Load(); h != nil {
				t.histogram(metric, histogramLabels(name, status), h)
			}
		}
	}
}

// histogramLabels are the labels of the calls of a method that ended with a code.
func histogramLabels(method string, status int) string {
	labels := methodLabels(method) + labelPair(AttrStatus, statusNames[status])
	if status != 0 {
		labels += labelPair(AttrErrorType, statusNames[status])
	}
	return labels
}

func (t textWriter) histogram(metric, labels string, h *histogram) {
	count := uint64(0)
	for i := range h.buckets {
		count += h.buckets[i].Load()
		t.sample(metric, "_bucket", labels, bucketLabels[i], float64(count))
	}
	t.sample(metric, "_sum", labels, "", h.seconds())
	t.sample(metric, "_count", labels, "", float64(count))
}

func (t textWriter) inFlight(metric, direction string, names []string, methods map[string]*methodMetrics) {
	t.head(metric, "gauge", "Remote procedure calls in flight, "+direction+".")
	for _, name := range names {
		t.sample(metric, "", methodLabels(name), "", float64(methods[name].inFlight.Load()))
	}
}

func (t textWriter) refusals(metric, direction string, refusals map[refusalKind]*atomic.Uint64) {
	t.head(metric, "counter", "Remote procedure calls that a middleware refused, "+direction+".")
	for _, kind := range sortedRefusals(refusals) {
		labels := scopeLabels + labelPair("by", kind.by) + labelPair("reason", kind.reason)
		t.sample(metric, "", labels, "", float64(refusals[kind].Load()))
	}
}

func sortedRefusals(refusals map[refusalKind]*atomic.Uint64) []refusalKind {
	return slices.SortedFunc(maps.Keys(refusals), func(a, b refusalKind) int {
		return cmp.Or(strings.Compare(a.by, b.by), strings.Compare(a.reason, b.reason))
	})
}

func (t textWriter) head(metric, kind, help string) {
	t.WriteString("# HELP " + metric + " " + help + "\n# TYPE " + metric + " " + kind + "\n")
}

// sample writes a line. labels are pairs with a comma behind each; last is one
// more, if it is not empty.
func (t textWriter) sample(metric, suffix, labels, last string, value float64) {
	t.WriteString(metric)
	t.WriteString(suffix)
	t.WriteByte('{')
	if last == "" {
		labels = strings.TrimSuffix(labels, ",")
	}
	t.WriteString(labels)
	t.WriteString(last)
	t.WriteString("} ")
	t.Write(strconv.AppendFloat(t.AvailableBuffer(), value, 'f', -1, 64))
	t.WriteByte('\n')
}

var (
	scopeLabels = labelPair("otel.scope.name", scopeName)

	labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
)

func methodLabels(method string) string {
	return scopeLabels + labelPair(AttrSystem, SystemName) + labelPair(AttrMethod, method)
}

// labelPair returns a label, and a comma.
func labelPair(attribute, value string) string {
	return strings.ReplaceAll(attribute, ".", "_") + `="` + labelEscapes.Replace(value) + `",`
}

// bucketNames are the bounds in seconds, bucketLabels the labels that have them.
var bucketNames, bucketLabels = func() (names, labels [len(bounds) + 1]string) {
	for i := range names {
		names[i] = "+Inf"
		if i < len(bounds) {
			names[i] = strconv.FormatFloat(bounds[i].Seconds(), 'g', -1, 64)
		}
		labels[i] = strings.TrimSuffix(labelPair("le", names[i]), ",")
	}
	return names, labels
}()
