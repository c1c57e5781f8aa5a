package registry

import (
	"log/slog"
	"slices"
	"time"
)

const (
	minSpared  = 3                // with fewer servers nobody can tell a dead one from a registry cut off
	spareAfter = 30 * time.Second // for the rest to come back when half are here again
)

// sweepSoonLocked has the list swept in a second. There is no timer while
// there is nobody to expire.
func (r *GeeRegistry) sweepSoonLocked() {
	if r.sweeping || r.timeout <= 0 || len(r.servers) == 0 {
		return
	}
	r.sweeping = true
	time.AfterFunc(sweepPause, r.sweep)
}

// sweep forgets the servers that have been silent for too long, or marks them.
func (r *GeeRegistry) sweep() {
	r.mu.Lock()
	gone, spared := r.sweepLocked(time.Now())
	r.sweeping = false
	r.sweepSoonLocked()
	r.mu.Unlock()
	for _, addr := range gone {
		r.report(slog.LevelWarn, "rpc registry: server expired", "addr", addr)
	}
	if spared > 0 {
		r.report(slog.LevelWarn, "rpc registry: most servers have fallen silent at once; those whose time is over are kept for a while",
			"kept", spared, "grace", r.grace())
	}
}

// sweepLocked returns the addresses of those that it has removed, in order,
// and how many it has newly spared. Those that are late it marks as silent.
func (r *GeeRegistry) sweepLocked(now time.Time) (gone []string, spared int) {
	spare := r.spareLocked(now)
	for addr, s := range r.servers {
		switch overdue := now.Sub(s.expires); {
		case overdue < 0:
			if s.interval > 0 && !s.late.After(now) && !s.Silent {
				r.markLocked(s, false)
			}
		case !spare || overdue >= r.grace():
			gone = append(gone, addr)
			r.forgetLocked(s)
		case !s.spared:
			r.markLocked(s, true)
			spared++
		}
	}
	slices.Sort(gone)
	return gone, spared
}

// markLocked marks a server as silent.
func (r *GeeRegistry) markLocked(s *ServerItem, spared bool) {
	marked := *s
	marked.Silent, marked.spared = true, spared
	r.servers[s.Addr] = &marked
	if !s.Silent {
		r.changedLocked(s.Addr)
	}
}

// spareLocked reports whether servers whose time is over are to be kept.
//
// Beats come at different times, so those of servers that are cut off end at
// different times. To wait until most are overdue would be to let the first
// ones go; hence being late counts.
func (r *GeeRegistry) spareLocked(now time.Time) bool {
	late := 0
	for _, s := range r.servers {
		if !s.late.After(now) {
			late++
		}
	}
	if len(r.servers) >= minSpared && 2*late > len(r.servers) {
		r.spared = now
	}
	return !r.spared.IsZero() && now.Sub(r.spared) < spareAfter
}

// grace returns for how long servers may be spared.
func (r *GeeRegistry) grace() time.Duration {
	if r.Grace == 0 {
		return DefaultGrace
	}
	return r.Grace
}
