package xclient

import (
	"cmp"
	"slices"
	"time"

	"geerpc"
	"geerpc/xclient/internal/attempt"
)

// A ServerState is whether a server gets calls, and why not.
type ServerState string

// The states of a server.
const (
	StateIdle      ServerState = "idle"         // not connected; no call has needed it
	StateDialling  ServerState = "dialling"     // being connected to
	StateReady     ServerState = "ready"        // connected
	StateDraining  ServerState = "draining"     // it shuts down: its calls are answered, and new ones go elsewhere
	StateDown      ServerState = "out of reach" // the last dial failed; there will be another
	StateEjected   ServerState = "ejected"      // it did worse than the others, see Ejection
	StateProbation ServerState = "on probation" // the same, and it gets one call at a time
)

// A ServerStatus is what an XClient believes of a server.
type ServerStatus struct {
	Endpoint   Endpoint      `json:"endpoint"` // not to be changed
	State      ServerState   `json:"state"`
	Until      time.Time     `json:"until,omitzero"`       // when an ejection ends
	Why        string        `json:"why,omitempty"`        // the reason for the latest ejection, or the error of the last dial
	InFlight   int           `json:"in_flight"`            // calls, with those that wait for a connection
	Unanswered time.Duration `json:"unanswered,omitempty"` // for how long calls have been waiting with no answer to any
	Latency    time.Duration `json:"latency,omitempty"`    // see Server.Latency
	Answers    int           `json:"answers"`              // in the last five to ten seconds
	Failures   int           `json:"failures"`             // the same
	Row        int           `json:"row"`                  // failures since the last answer

	// ErrorsByCode are the errors of the last five to ten seconds: the failures, and
	// those with which the server or its methods answered.
	ErrorsByCode map[geerpc.Code]int `json:"errors_by_code,omitempty"`

	Connections int   `json:"connections"` // that take calls
	Calls       int64 `json:"calls"`       // attempts that have begun since the server joined
	Recent      int   `json:"recent"`      // of these, in the last five to ten seconds
}

// Servers tells what the XClient believes of each server that it knows of, by
// address. Those that have left the list are in it until a call, or a second,
// has noticed.
func (xc *XClient) Servers() []ServerStatus {
	set := &xc.set
	set.mu.Lock()
	defer set.mu.Unlock()
	now := attempt.Now()
	all := make([]ServerStatus, 0, len(set.servers))
	for _, s := range set.servers {
		all = append(all, s.statusLocked(now))
	}
	slices.SortFunc(all, func(a, b ServerStatus) int { return cmp.Compare(a.Endpoint.Addr, b.Endpoint.Addr) })
	return all
}

// statusLocked returns what is known about a server. The set's mu is held.
func (s *Server) statusLocked(now time.Duration) ServerStatus {
	st := ServerStatus{Endpoint: *s.Endpoint(), InFlight: s.InFlight(), Latency: s.Latency()}
	st.Answers, st.Failures, st.Row = s.record.Recent(now)
	st.ErrorsByCode = s.record.Errors(now)
	st.Calls, st.Recent = s.record.Begun(now)
	if since := s.record.WaitingSince(); since > 0 {
		st.Unanswered = now - since
	}
	st.State, st.Connections, st.Why = s.connectionState()
	h := &s.health
	switch {
	case h.is(ejected):
		st.State, st.Why, st.Until = StateEjected, h.reason, time.Now().Add(h.until-now)
	case h.is(probation):
		st.State, st.Why = StateProbation, h.reason
	}
	return st
}

// connectionState returns the best state of the server's connections, and how many are
// ready.
func (s *Server) connectionState() (best ServerState, ready int, why string) {
	best = StateIdle
	order := []ServerState{StateIdle, StateDown, StateDialling, StateDraining, StateReady}
	for _, c := range s.conns {
		state, err := c.state()
		if state == StateReady {
			ready++
		}
		if slices.Index(order, state) > slices.Index(order, best) {
			best, why = state, ""
			if err != nil {
				why = err.Error()
			}
		}
	}
	return best, ready, why
}

// Counters tell how often an XClient's policies made further attempts.
type Counters struct {
	Retries, RetriesRefused int64   // further attempts of Retry, and those that its Budget did not allow
	Hedges, HedgesRefused   int64   // the same of Hedge
	RetriesLeft, HedgesLeft float64 // how many the budgets allow now; +Inf: no limit
}

// Counters returns the counters since the XClient was made.
func (xc *XClient) Counters() Counters {
	c := Counters{RetriesLeft: xc.retries.Left(), HedgesLeft: xc.hedges.Left()}
	c.Retries, c.RetriesRefused = xc.retries.Counts()
	c.Hedges, c.HedgesRefused = xc.hedges.Counts()
	return c
}
