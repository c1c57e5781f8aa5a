package geerpc

import (
	"cmp"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"geerpc/internal/debugpage"
	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
)

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

// runningCalls returns the calls that have been under way for longest. Those that run
// inline are among them once they have kept the reader waiting.
func runningCalls(conns []*conn) []debugpage.Running {
	list, now := []debugpage.Running{}, monotime.Now()
	for _, c := range conns {
		peer := addressOf(usercode.RemoteAddr(c.link.Conn))
		c.mu.Lock()
		for _, k := range c.state.calls {
			list = append(list, debugpage.Running{Method: k.serviceMethod, Peer: peer, Seconds: (now - k.since).Seconds(), Abandoned: k.callerGone(now) != nil})
		}
		c.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b debugpage.Running) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list[:min(len(list), debugpage.MaxRunning)]
}

// describe returns the connection's row. The fields that the handshake sets are
// read only when it is over.
func (c *conn) describe(shaken bool, inFlight int64) debugpage.Conn {
	d := debugpage.Conn{Peer: addressOf(usercode.RemoteAddr(c.link.Conn)), Calls: c.slots.used.Load(), InFlight: inFlight, MaxInFlight: c.slots.most,
		Gone: c.link.Context().Err() != nil, AgeSeconds: time.Since(c.since).Seconds()}
	c.mu.Lock()
	d.Draining = (c.state.askedToEnd || c.state.noNewCalls) && !d.Gone
	d.Events = append([]debugpage.Event{}, c.state.events...)
	c.mu.Unlock()
	if shaken {
		d.TLS = c.peer.TLS != nil
		d.Received, d.Sent = c.link.Received(), c.link.Sent()
		d.Codec = string(c.codecType)
		d.Compression = c.link.Compressed()
		d.Layout = c.layout()
	}
	return d
}

// layout names how messages are written, or the protocol if that is not GeeRPC.
func (c *conn) layout() string {
	switch {
	case c.protocol != GeeRPC:
		return c.protocol.Name
	case c.link.Extended():
		return "framed"
	}
	return "plain"
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

// reportCutOff logs which calls are about to be cut off, because Shutdown's time is up.
// It asks no connection for its address: that is the user's code, and Shutdown can't wait
// for it.
func (s *Server) reportCutOff() {
	calls, methods := 0, []string{}
	status := s.conns.Status()
	for _, c := range slices.Concat(status.Conns, status.Brief) {
		c.mu.Lock()
		for _, k := range c.state.calls {
			calls++
			if !slices.Contains(methods, k.serviceMethod) {
				methods = append(methods, k.serviceMethod)
			}
		}
		c.mu.Unlock()
	}
	s.report(slog.LevelWarn, "rpc server: the shutdown cuts calls off", "calls", calls, "methods", methods)
}

// isLocal reports whether an address is not that of another machine.
func isLocal(addr string) bool {
	ip, err := netip.ParseAddrPort(addr)
	return err != nil || ip.Addr().IsLoopback()
}
