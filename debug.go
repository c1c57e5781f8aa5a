package geerpc

import (
	"cmp"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"geerpc/internal/debugpage"
	"geerpc/internal/usercode"
)

// The debug page: what its fields mean, and where their numbers come from. How it
// looks is in internal/debugpage.

// DebugHandler returns a page for people, and the same as JSON for programs:
// the methods of the Server, how often each was called and failed, and the
// connections. It can be put on any mux, at any path, and is safe for concurrent
// use. It answers GET and HEAD. The page shows types of arguments and addresses of
// clients: keep it off public networks, or behind a handler that asks for a login.
//
// The page needs no JavaScript. With ?refresh=5 it loads itself again every five
// seconds (1 to 3600). With ?format=json, or if a request accepts application/json
// and not text/html, the answer is an object with these fields, to which others may
// be added:
//
//	state           "open", "draining" (Shutdown was called) or "closed"
//	uptime_seconds  since the Server was first given a listener or connection
//	goroutines      of the whole process
//	calls           to all methods; the next two likewise
//	errors
//	in_flight
//	unknown_calls   to methods that do not exist, not counted above
//	services        an array, sorted by name
//	  name
//	  methods       an array, sorted by name
//	    name
//	    signature   such as "Add(args main.Args, reply *main.Reply) error"
//	    calls       that have begun
//	    errors      of these: answered with an error
//	    in_flight   of these: running now
//	connections
//	  open          in whatever state
//	  handshaking   of these: not yet ready for calls
//	  limit         Server.MaxConns, 0 if there is none
//	  rejected      turned away, for their handshake or because of the limit
//	  list          an array of at most 100: the busiest first, then the oldest,
//	                those in their handshake last
//	    peer        the address, "" if there is none
//	    tls         whether TLS protects it
//	    codec       "" until the handshake is done
//	    layout      "plain", as GeeRPC has always had it, or "framed", with
//	                deadlines, cancelling and metadata; "" as for codec
//	    in_flight   calls not yet answered, those that wait for their turn too
//	    gone        the connection is closed, its methods have not returned
//	    age_seconds
//
// If a HandleTimeout has answered a call, the call counts as an error, and as in
// flight until its method returns. A function registered with RegisterFunc is shown
// as a method.
func (s *Server) DebugHandler() http.Handler { return debugHandler{s} }

// A debugHandler is comparable: those of one Server are equal.
type debugHandler struct{ server *Server }

// ServeHTTP implements http.Handler.
func (h debugHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := debugpage.Serve(w, req, h.server.debugInfo); err != nil {
		h.server.logger().Error("rpc server: debug page", "err", err)
	}
}

// debugInfo gathers the numbers. They are not of one instant, but consistent: a
// call that is in flight or has failed is among the calls.
func (s *Server) debugInfo() *debugpage.Info {
	status := s.conns.Status()
	info := &debugpage.Info{
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

func (r *registry) debugServices() []debugpage.Service {
	list := []debugpage.Service{}
	for name, methods := range r.byService() {
		service := debugpage.Service{Name: name}
		for _, m := range methods {
			service.Methods = append(service.Methods, debugpage.Method{Name: m.name, Signature: m.signature(), Counts: m.counts()})
		}
		slices.SortFunc(service.Methods, func(a, b debugpage.Method) int { return cmp.Compare(a.Name, b.Name) })
		list = append(list, service)
	}
	slices.SortFunc(list, func(a, b debugpage.Service) int { return cmp.Compare(a.Name, b.Name) })
	return list
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

// debugConnsOf describes connections, at most debugpage.MaxConns of them.
func debugConnsOf(conns []*conn) debugpage.Conns {
	type entry struct {
		*conn
		shaken   bool
		inFlight int64
	}
	entries := make([]entry, len(conns)) // copies, because numbers must not change while they are sorted
	handshaking := 0
	for i, c := range conns {
		entries[i] = entry{c, c.shaken.Load(), c.slots.taken.Load()}
		if !entries[i].shaken {
			handshaking++
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		busier := cmp.Compare(b.inFlight, a.inFlight)
		switch {
		case busier != 0 || a.shaken == b.shaken:
			return cmp.Or(busier, a.since.Compare(b.since))
		case a.shaken:
			return -1 // connections without a handshake must not crowd out clients
		}
		return 1
	})
	info := debugpage.Conns{Open: len(conns), Handshaking: handshaking, List: []debugpage.Conn{}}
	for _, e := range entries[:min(len(entries), debugpage.MaxConns)] {
		info.List = append(info.List, e.conn.describe(e.shaken, e.inFlight))
	}
	return info
}

// describe returns the connection's row. The fields that the handshake sets are
// read only when it is over.
func (c *conn) describe(shaken bool, inFlight int64) debugpage.Conn {
	d := debugpage.Conn{Peer: addressOf(usercode.RemoteAddr(c.link.Conn)), InFlight: inFlight,
		Gone: c.link.Context().Err() != nil, AgeSeconds: time.Since(c.since).Seconds()}
	if shaken {
		d.TLS = c.peer.TLS != nil
		d.Codec = string(c.codecType)
		d.Layout = "plain"
		if c.link.Extended() {
			d.Layout = "framed"
		}
	}
	return d
}

// addressOf returns the text of an address. If it has none, as that of a client on
// a Unix socket, it is the name of the network.
func addressOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	if s := usercode.AddrText(addr); s != "" && s != "@" {
		return s
	}
	return addr.Network()
}
