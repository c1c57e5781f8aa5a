package geerpc

import (
	"cmp"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"geerpc/internal/connset"
	"geerpc/internal/debugpage"
	"geerpc/internal/monotime"
	"geerpc/internal/page"
	"geerpc/internal/usercode"
)

// debugInfo gathers what the debug page shows. The numbers are not of one instant, but
// consistent: a call that is in flight or has failed is among the calls.
func (s *Server) debugInfo() *debugpage.Info {
	status := s.conns.Status()
	info := &debugpage.Info{
		State:        status.State,
		Server:       identity(status.Listeners),
		Now:          time.Now(),
		Goroutines:   runtime.NumGoroutine(),
		UnknownCalls: s.registry.unknown.Total(),
		Services:     s.registry.debugServices(),
		Running:      runningCalls(slices.Concat(status.Conns, status.Brief)),
		Connections:  debugConnsOf(status.Conns),
		Settings:     s.settings(),
	}
	if !status.Since.IsZero() {
		info.UptimeSeconds = time.Since(status.Since).Seconds()
	}
	info.Connections.Limit = max(s.MaxConns, 0)
	info.Connections.Rejected = s.rejected.Total()
	info.Connections.Lost = s.broken.Total()
	info.Refused = s.refusedLately()
	for _, service := range info.Services {
		for _, m := range service.Methods {
			info.Calls += m.Calls
			info.Errors += m.Errors
			info.InFlight += m.InFlight
		}
	}
	info.Hints = s.hints(info)
	info.Complete(monotime.Now(), codeName)
	return info
}

func codeName(code uint8) string { return Code(code).String() }

// identity says which server it is, among those of all machines.
func identity(listeners []*connset.Listener) debugpage.Identity {
	id := debugpage.Identity{Process: page.Self(), Listeners: []string{}}
	for _, l := range listeners {
		addr := l.Addr()
		if addr != nil {
			id.Listeners = append(id.Listeners, addr.Network()+" "+usercode.AddrText(addr))
		}
	}
	slices.Sort(id.Listeners)
	return id
}

func (r *registry) debugServices() []debugpage.Service {
	list := []debugpage.Service{}
	for name, methods := range r.byService() {
		service := debugpage.Service{Name: name, Skipped: []debugpage.Skipped{}}
		for _, m := range r.skipped(name) {
			service.Skipped = append(service.Skipped, debugpage.Skipped{Name: m.Name, Why: m.Reason})
		}
		for _, m := range methods {
			service.Methods = append(service.Methods, debugpage.Method{Name: m.name, Signature: m.signature(), Counts: m.counts(), Stats: &m.stats})
		}
		slices.SortFunc(service.Methods, func(a, b debugpage.Method) int { return cmp.Compare(a.Name, b.Name) })
		list = append(list, service)
	}
	slices.SortFunc(list, func(a, b debugpage.Service) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// signature returns the method as it would be declared.
func (m *method) signature() string {
	ctx := ""
	if m.wantsContext {
		ctx = "ctx context.Context, "
	}
	return m.name + "(" + ctx + "args " + typeName(m.argType) + ", reply " + typeName(m.replyType) + ") error"
}

func typeName(t reflect.Type) string {
	return strings.NewReplacer("interface {}", "any", "[]uint8", "[]byte").Replace(t.String())
}

// counts reads the counters in the opposite order of that in which a call
// increments them. So a call that begins or ends meanwhile is never counted as
// failed or ended without being counted as begun.
func (m *method) counts() (c debugpage.Counts) {
	var ended int64
	ended, c.Errors = m.stats.Totals() // before begun, or InFlight could be negative
	c.Calls = m.begun.Load()
	c.InFlight = c.Calls - ended
	return c
}

// refusedLately returns the latest reasons for which connections were rejected or lost, and
// requests and calls of unknown methods refused.
func (s *Server) refusedLately() []debugpage.Refusal {
	list := []debugpage.Refusal{}
	for _, r := range slices.Concat(s.rejected.Latest(), s.broken.Latest(), s.unserved.Latest(), s.registry.unknown.Latest()) {
		list = append(list, debugpage.Refusal{Reason: r.Reason, Count: r.Count, At: r.At, Peer: r.Peer})
	}
	slices.SortStableFunc(list, func(a, b debugpage.Refusal) int { return b.At.Compare(a.At) })
	return list
}

// settings lists the configuration in force. Of a token it says only whether there is
// one.
func (s *Server) settings() []page.Setting {
	list := []page.Setting{
		{Name: "Token", Value: setOrNot(s.Token != ""), Default: s.Token == ""},
		{Name: "Admit", Value: fmt.Sprintf("%d functions", len(s.Admit)), Default: len(s.Admit) == 0},
		{Name: "Interceptors", Value: fmt.Sprintf("%d", len(s.Interceptors)), Default: len(s.Interceptors) == 0},
		{Name: "AllowDebugCalls", Value: fmt.Sprint(s.AllowDebugCalls), Default: !s.AllowDebugCalls},
		{Name: "DisableIntrospection", Value: fmt.Sprint(s.DisableIntrospection), Default: !s.DisableIntrospection},
		{Name: "Ordered", Value: fmt.Sprint(s.Ordered), Default: !s.Ordered},
		{Name: "Logger", Value: setOrNot(s.Logger != nil), Default: s.Logger == nil},
		{Name: "Protocols", Value: s.protocolNames(), Default: s.Protocols == nil},
		{Name: "TLSConfig", Value: setOrNot(s.TLSConfig != nil), Default: s.TLSConfig == nil},
		{Name: "AllowPlaintext", Value: fmt.Sprint(s.AllowPlaintext), Default: !s.AllowPlaintext},
		{Name: "Codecs", Value: namesOr(s.Codecs, "all that are registered"), Default: len(s.Codecs) == 0},
		{Name: "Compression", Value: namesOr(s.Compression, "none"), Default: len(s.Compression) == 0},
	}
	for _, l := range []struct {
		name       string
		set, force int
	}{
		{"MaxConns", s.MaxConns, max(s.MaxConns, 0)},
		{"MaxInFlight", s.MaxInFlight, s.maxInFlight()},
		{"MaxMessageBytes", s.MaxMessageBytes, limit(s.MaxMessageBytes, DefaultMaxMessageBytes)},
		{"MaxDefinitionBytes", s.MaxDefinitionBytes, limit(s.MaxDefinitionBytes, DefaultMaxDefinitionBytes)},
	} {
		list = append(list, page.Setting{Name: l.name, Value: limitText(l.force, fmt.Sprint(l.force)), Default: l.set == 0})
	}
	for _, l := range []struct {
		name       string
		set, force time.Duration
	}{
		{"HandleTimeout", s.HandleTimeout, max(s.HandleTimeout, 0)},
		{"FlushTimeout", s.FlushTimeout, limit(s.FlushTimeout, DefaultFlushTimeout)},
		{"ReadTimeout", s.ReadTimeout, limit(s.ReadTimeout, DefaultReadTimeout)},
		{"IdleTimeout", s.IdleTimeout, max(s.IdleTimeout, 0)},
	} {
		list = append(list, page.Setting{Name: l.name, Value: limitText(l.force, l.force.String()), Default: l.set == 0})
	}
	return list
}

func (s *Server) protocolNames() string {
	var names []string
	for _, p := range s.protocols() {
		if p != nil {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

func setOrNot(set bool) string {
	if set {
		return "set"
	}
	return "not set"
}

func namesOr[S ~string](names []S, none string) string {
	if len(names) == 0 {
		return none
	}
	return strings.Trim(fmt.Sprint(names), "[]")
}

func limitText[N int | time.Duration](n N, text string) string {
	if n <= 0 {
		return "no limit"
	}
	return text
}

// hints says what looks wrong, in words for somebody who has just been woken up.
func (s *Server) hints(info *debugpage.Info) []string {
	hints := []string{}
	add := func(format string, a ...any) { hints = append(hints, fmt.Sprintf(format, a...)) }
	conns := &info.Connections
	if info.State == "draining" {
		add("The server shuts down: it takes no new connections. Calls that it waits for: %d.", info.InFlight)
	}
	if conns.Limit > 0 && conns.Open-conns.Handshaking >= conns.Limit {
		add("MaxConns is reached, which is %d: other connections are turned away.", conns.Limit)
	}
	full, open := 0, false
	for _, c := range conns.List {
		if c.MaxInFlight > 0 && c.InFlight >= c.MaxInFlight {
			full++
		}
		open = open || c.Layout != "" && !c.TLS && !isLocal(c.Peer)
	}
	if full > 0 {
		add("Connections that have as many calls in flight as MaxInFlight allows, so that no more are taken: %d.", full)
	}
	abandoned := slices.DeleteFunc(slices.Clone(info.Running), func(r debugpage.Running) bool { return !r.Abandoned })
	if len(abandoned) > 0 {
		add("Methods that still run although their callers have left: %d or more, the oldest %s. They ignore their contexts.", len(abandoned), abandoned[0].Method)
	}
	if s.Token != "" && open {
		add("There is a Token, and clients on other machines connect without TLS: whoever listens on the network can read it.")
	}
	return hints
}
