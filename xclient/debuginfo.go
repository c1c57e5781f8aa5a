package xclient

import (
	"fmt"
	"math"
	"time"

	"geerpc"
	"geerpc/internal/page"
	"geerpc/xclient/internal/clientpage"
)

// debugInfo gathers what the debug page shows.
func (xc *XClient) debugInfo() *clientpage.Info {
	info := &clientpage.Info{
		State:         "open",
		Process:       page.Self(),
		Now:           time.Now(),
		UptimeSeconds: time.Since(xc.made).Seconds(),
		InFlight:      xc.calls.count.Load(),
		Discovery:     clientpage.Discovery{Type: fmt.Sprintf("%T", xc.d), Registries: []clientpage.Registry{}},
		Servers:       []clientpage.Server{},
		Left:          []clientpage.Left{},
		Settings:      xc.settings(),
	}
	switch {
	case xc.set.closed():
		info.State = "closed"
	case xc.calls.draining.Load():
		info.State = "draining"
	}
	if d, ok := xc.d.(*GeeRegistryDiscovery); ok {
		info.Discovery.Registries = d.debugRegistries()
	}
	for _, st := range xc.Servers() {
		info.Servers = append(info.Servers, debugServer(st))
	}
	for _, d := range xc.set.lastDeparted() {
		info.Left = append(info.Left, clientpage.Left{Addr: d.Endpoint.Addr, State: string(d.State), Why: d.Why, Calls: d.Calls, At: d.at})
	}
	info.SetShares()
	c := xc.Counters()
	info.Retries = debugBudget(c.Retries, c.RetriesRefused, c.RetriesLeft)
	info.Hedges = debugBudget(c.Hedges, c.HedgesRefused, c.HedgesLeft)
	info.Hints = xc.hints(info)
	return info
}

// hints says what looks wrong.
func (xc *XClient) hints(info *clientpage.Info) []string {
	hints := []string{}
	add := func(format string, a ...any) { hints = append(hints, fmt.Sprintf(format, a...)) }
	failing, erring, ready := 0, 0, 0
	for _, r := range info.Discovery.Registries {
		if r.IsBad() {
			failing++
		}
	}
	for _, s := range info.Servers {
		if s.State == string(StateReady) {
			ready++
		}
		if s.IsErring() {
			erring++
		}
	}
	if failing > 0 {
		add("%d of %d registries give no good answer: see below. The last good list is in use.", failing, len(info.Discovery.Registries))
	}
	if erring > 0 {
		add("Most calls end with errors of the server on %d of %d ready servers: see below.", erring, ready)
	}
	if xc.set.opt.ConnectTimeout <= 0 {
		add("There is no Option.ConnectTimeout: connecting to a machine that does not answer goes on until the network gives up, often for minutes. "+
			"If no other server is connected, calls wait for it, as long as their contexts allow. Set it, for example to %s.", geerpc.DefaultConnectTimeout)
	}
	return hints
}

func debugServer(st ServerStatus) clientpage.Server {
	s := clientpage.Server{
		Addr:              st.Endpoint.Addr,
		State:             string(st.State),
		Why:               st.Why,
		InFlight:          st.InFlight,
		UnansweredSeconds: st.Unanswered.Seconds(),
		LatencySeconds:    st.Latency.Seconds(),
		Answers:           st.Answers,
		Failures:          st.Failures,
		FailuresInARow:    st.Row,
		ErrorsByCode:      make(map[string]int),
		MostlyErrors:      mostlyErrors(st),
		Calls:             st.Calls,
		RecentCalls:       st.Recent,
		Connections:       st.Connections,
		Weight:            max(st.Endpoint.Weight, 1),
		Services:          append([]string{}, st.Endpoint.Services...), // [] in JSON rather than null
		Metadata:          st.Endpoint.Metadata,
		Legacy:            st.Endpoint.Legacy,
		Silent:            st.Endpoint.Silent,
	}
	for code, n := range st.ErrorsByCode {
		s.ErrorsByCode[code.String()] = n
	}
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	if !st.Until.IsZero() {
		s.Until = &st.Until
	}
	return s
}

// mostlyErrors reports whether most of the recent answers and failures are errors that
// are likely to be the server's fault, and not the callers'.
func mostlyErrors(st ServerStatus) bool {
	n := 0
	for _, code := range []geerpc.Code{geerpc.CodeUnavailable, geerpc.CodeResourceExhausted, geerpc.CodeInternal, geerpc.CodeDeadlineExceeded, geerpc.CodeDataLoss} {
		n += st.ErrorsByCode[code]
	}
	return 2*n > st.Answers+st.Failures
}

func debugBudget(made, refused int64, left float64) clientpage.Budget {
	b := clientpage.Budget{Made: made, Refused: refused}
	if !math.IsInf(left, 1) { // JSON has no infinity
		b.Left = &left
	}
	return b
}

// debugRegistries describes the registries that are asked, and those that never are.
func (d *GeeRegistryDiscovery) debugRegistries() []clientpage.Registry {
	d.state.Lock()
	defer d.state.Unlock()
	list, now := []clientpage.Registry{}, time.Now()
	asleep := d.watch == nil || d.watch.ctx.Err() != nil
	for _, s := range d.sources {
		list = append(list, s.debugRegistry(asleep, now))
	}
	for _, err := range d.badURLs {
		list = append(list, clientpage.Registry{State: clientpage.Unusable, Error: err.Error()})
	}
	return list
}

// debugRegistry describes a source, whose lock is held.
func (s *source) debugRegistry(asleep bool, now time.Time) clientpage.Registry {
	r := clientpage.Registry{URL: s.name, Servers: len(s.servers), Kept: len(s.keptAt(now))}
	if !s.confirmed.IsZero() {
		age := now.Sub(s.confirmed).Seconds()
		r.AgeSeconds = &age
	}
	switch {
	case s.err != nil:
		r.State, r.Error, r.Failing = clientpage.Fails, s.err.Error(), now.Sub(s.failing).Seconds()
	case asleep && !s.confirmed.IsZero():
		r.State = clientpage.Asleep
	case s.confirmed.IsZero() && len(s.servers) == 0:
		r.State = clientpage.Unasked
	case s.index != 0:
		r.State = clientpage.Watched
	default:
		r.State = clientpage.Polled
	}
	return r
}
