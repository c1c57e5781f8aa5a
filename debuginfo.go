package geerpc

import (
	"cmp"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"geerpc/internal/usercode"
)

// maxDebugConns limits the connections that the debug page lists.
const maxDebugConns = 100

// debugInfo is what the debug page shows. DebugHandler documents the fields.
type debugInfo struct {
	State         string  `json:"state"`
	UptimeSeconds float64 `json:"uptime_seconds"`
	Goroutines    int     `json:"goroutines"`
	debugCounts
	UnknownCalls int64          `json:"unknown_calls"`
	Services     []debugService `json:"services"`
	Connections  debugConns     `json:"connections"`
}

type debugCounts struct {
	Calls    int64 `json:"calls"`
	Errors   int64 `json:"errors"`
	InFlight int64 `json:"in_flight"`
}

type debugService struct {
	Name    string        `json:"name"`
	Methods []debugMethod `json:"methods"`
}

type debugMethod struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	debugCounts
}

// Params returns the signature without the name.
func (m debugMethod) Params() string { return strings.TrimPrefix(m.Signature, m.Name) }

type debugConns struct {
	Open        int         `json:"open"`
	Handshaking int         `json:"handshaking"`
	Limit       int         `json:"limit"`
	Rejected    int64       `json:"rejected"`
	List        []debugConn `json:"list"`
}

// Unlisted returns how many connections the list leaves out.
func (c debugConns) Unlisted() int { return c.Open - len(c.List) }

type debugConn struct {
	Peer       string  `json:"peer"`
	TLS        bool    `json:"tls"`
	Codec      string  `json:"codec"`
	Layout     string  `json:"layout"`
	InFlight   int64   `json:"in_flight"`
	Gone       bool    `json:"gone"`
	AgeSeconds float64 `json:"age_seconds"`
}

// debugInfo takes the numbers. They are not of one instant, but go together:
// what is in flight or failed is among the calls.
func (s *Server) debugInfo() *debugInfo {
	status := s.conns.Status()
	info := &debugInfo{
		State:        status.State,
		Goroutines:   runtime.NumGoroutine(),
		UnknownCalls: s.registry.unknown.Load(),
		Services:     s.registry.debugServices(),
		Connections:  debugConnsOf(status.Conns),
	}
	if !status.Since.IsZero() {
		info.UptimeSeconds = time.Since(status.Since).Seconds()
	}
	info.Connections.Limit = max(s.MaxConns, 0)
	info.Connections.Rejected = s.rejected.Load()
	for _, service := range info.Services {
		for _, m := range service.Methods {
			info.Calls += m.Calls
			info.Errors += m.Errors
			info.InFlight += m.InFlight
		}
	}
	return info
}

func (r *registry) debugServices() []debugService {
	list := []debugService{}
	for name, methods := range r.byService() {
		service := debugService{Name: name}
		for _, m := range methods {
			service.Methods = append(service.Methods, debugMethod{m.name, m.signature(), m.counts()})
		}
		slices.SortFunc(service.Methods, func(a, b debugMethod) int { return cmp.Compare(a.Name, b.Name) })
		list = append(list, service)
	}
	slices.SortFunc(list, func(a, b debugService) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// counts reads in the opposite order of begin and end, so that no call that
// comes or goes meanwhile is counted as failed or running only.
func (m *method) counts() (c debugCounts) {
	c.Errors = m.failed.Load()
	ended := m.ended.Load() // before begun, lest fewer than none be in flight
	c.Calls = m.begun.Load()
	c.InFlight = c.Calls - ended
	return c
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
	return strings.ReplaceAll(t.String(), "interface {}", "any")
}

// debugConnsOf describes connections, not all of them if they are many.
func debugConnsOf(conns []*conn) debugConns {
	type entry struct {
		*conn
		greeted  bool
		inFlight int64
	}
	entries := make([]entry, len(conns)) // sorted by numbers that stand still
	handshaking := 0
	for i, c := range conns {
		entries[i] = entry{c, c.greeted.Load(), c.inFlight()}
		if !entries[i].greeted {
			handshaking++
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		busier := cmp.Compare(b.inFlight, a.inFlight)
		switch {
		case busier != 0 || a.greeted == b.greeted:
			return cmp.Or(busier, a.since.Compare(b.since))
		case a.greeted:
			return -1 // a crowd of strangers hides no client
		}
		return 1
	})
	info := debugConns{Open: len(conns), Handshaking: handshaking, List: []debugConn{}}
	for _, e := range entries[:min(len(entries), maxDebugConns)] {
		info.List = append(info.List, e.conn.describe(e.greeted, e.inFlight))
	}
	return info
}

// describe returns the connection's row. What the handshake writes is read
// only if it is over.
func (c *conn) describe(greeted bool, inFlight int64) debugConn {
	d := debugConn{Peer: addressOf(usercode.RemoteAddr(c.link.Conn)), InFlight: inFlight,
		Gone: c.link.Context().Err() != nil, AgeSeconds: time.Since(c.since).Seconds()}
	if greeted {
		d.TLS = c.peer.TLS != nil
		d.Codec = string(c.codecType)
		d.Layout = "plain"
		if c.link.Extended() {
			d.Layout = "framed"
		}
	}
	return d
}

// addressOf returns an address, or the name of its network if it is one in
// which clients need none.
func addressOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	if s := usercode.AddrText(addr); s != "" && s != "@" {
		return s
	}
	return addr.Network()
}
