package middleware

import (
	"encoding/json"
)

// String returns the metrics as JSON, which makes *Metrics an expvar.Var. By
// side and method it has the calls that have ended, those in flight, the errors
// by code, the sum of all durations in seconds, and how many calls took at most
// so many seconds; by side the refusals. Package expvar is not imported here,
// because that alone would put its page on http.DefaultServeMux.
func (m *Metrics) String() string {
	m.once.Do(m.prepare)
	sides := make(map[string]sideVar)
	for name, s := range map[string]*sideMetrics{"server": &m.server, "client": &m.client} {
		if v := s.asVar(); len(v.Methods)+len(v.Refusals) > 0 {
			sides[name] = v
		}
	}
	text, err := json.Marshal(sides)
	if err != nil {
		return "null" // never: there is nothing in it that can fail
	}
	return string(text)
}

type sideVar struct {
	Methods  map[string]methodVar `json:"methods"`
	Refusals []refusalVar         `json:"refusals,omitempty"`
}

type methodVar struct {
	Calls    uint64            `json:"calls"`
	InFlight int64             `json:"in_flight"`
	Errors   map[string]uint64 `json:"errors,omitempty"`
	Seconds  float64           `json:"seconds"`
	Within   map[string]uint64 `json:"within,omitempty"`
}

type refusalVar struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
	Calls  uint64 `json:"calls"`
}

func (s *sideMetrics) asVar() sideVar {
	v := sideVar{Methods: make(map[string]methodVar)}
	for name, m := range s.methods.all() {
		v.Methods[name] = m.asVar()
	}
	refusals := s.refusals.all()
	for _, kind := range sortedRefusals(refusals) {
		v.Refusals = append(v.Refusals, refusalVar{kind.by, kind.reason, refusals[kind].Load()})
	}
	return v
}

func (m *methodMetrics) asVar() methodVar {
	v := methodVar{InFlight: m.inFlight.Load(), Errors: make(map[string]uint64), Within: make(map[string]uint64)}
	for status := range m.byStatus {
		h := m.byStatus[status].Load()
		if h == nil {
			continue
		}
		calls := uint64(0)
		for i := range h.buckets {
			calls += h.buckets[i].Load()
			v.Within[bucketNames[i]] += calls
		}
		v.Calls += calls
		v.Seconds += h.seconds()
		if status != 0 && calls > 0 {
			v.Errors[statusNames[status]] = calls
		}
	}
	return v
}
