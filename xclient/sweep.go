package xclient

import (
	"log/slog"
	"maps"
	"time"

	"geerpc/internal/usercode"
)

// The sweep: what an XClient does once a second while it has servers, calls or
// none.

// sweepInterval is the time between two sweeps.
const sweepInterval = time.Second

// sweep closes idle connections, brings the servers up to date with the list, and
// looks at their health.
func (set *endpointSet) sweep() {
	defer set.sweepLater()
	set.closeIdle()
	set.trySync()
	set.connectSilent()
	set.detectOutliers()
}

// sweepLater schedules the next sweep, unless there is nothing to sweep.
func (set *endpointSet) sweepLater() {
	set.mu.Lock()
	defer set.mu.Unlock()
	if len(set.servers) == 0 || set.closed() {
		set.sweeper = nil // until there is a server again
		return
	}
	set.sweeper.Reset(sweepInterval)
}

// trySync is sync, but survives a Discovery that panics or ends the goroutine. It
// logs that, unless it happened the last time too.
func (set *endpointSet) trySync() {
	failed := true
	defer func() {
		p := recover()
		if failed && !set.syncFailed {
			set.reports.Log(set.opt.Logger, slog.LevelError, "rpc xclient: the Discovery panicked or ended its goroutine, and is going to be asked again",
				"panic", p, "stack", usercode.Stack())
		}
		set.syncFailed = failed
	}()
	set.sync()
	failed = false
}

// sync brings the servers up to date with the list. No call does so for a
// Discovery that has only the four methods.
func (set *endpointSet) sync() {
	if set.source != nil {
		snap := set.current.Load()
		if list := set.source.current(); list != nil && !snap.isOf(list) {
			set.update(snap, list)
		}
		return
	}
	addrs, err := set.getAll()
	if err != nil || len(addrs) == 0 { // perhaps it was only ever made to Get
		return
	}
	listed := make(map[string]bool, len(addrs))
	for _, addr := range addrs {
		listed[addr] = true
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	set.removeUnlistedLocked(listed)
	if !maps.Equal(set.listed, listed) {
		set.listed = listed
		set.changed.notify()
		set.redialSoon()
	}
}

// closeIdle closes the connections that no call has needed for a while.
func (set *endpointSet) closeIdle() {
	if set.idleTimeout == 0 {
		return
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	for _, s := range set.servers {
		for _, c := range s.conns {
			c.closeIdle(set.idleTimeout)
		}
	}
}

// silentRounds is how many sweeps it takes to try all silent servers.
const silentRounds = 30

// connectSilent connects to some of the servers that the registry has not heard,
// and that get no calls until they are connected to: they need not be dead. A
// server that is stays down until a dial succeeds. Only services that are being
// called are looked at.
func (set *endpointSet) connectSilent() {
	snap := set.current.Load()
	if snap == nil {
		return
	}
	for _, v := range *snap.views.Load() {
		silent := filter(v.all, (*Server).isUntriedSilent)
		if len(silent) == 0 || !anyInUse(v.all) {
			continue
		}
		if snap.subset.size > 0 {
			silent = filter(snap.subset.limit(snap.subset.candidates(v.all)), (*Server).isUntriedSilent)
		}
		for _, s := range silent[:(len(silent)+silentRounds-1)/silentRounds] {
			s.connectSoon()
		}
	}
}

// isUntriedSilent reports whether the server is silent, and no dial has shown
// whether it is there.
func (s *Server) isUntriedSilent() bool {
	return s.Endpoint().Silent && !s.health.is(down) && !s.isConnected()
}

// anyInUse reports whether one of some servers has been connected to for calls,
// and not for being silent.
func anyInUse(servers []*Server) bool {
	for _, s := range servers {
		if !s.Endpoint().Silent && s.isConnected() {
			return true
		}
	}
	return false
}
