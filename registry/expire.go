package registry

import (
	"log/slog"
	"slices"
	"time"
)

const (
	minForGrace        = 3                // with fewer servers, most of them may well be dead
	graceAfterRecovery = 30 * time.Second // for the other servers, when half are back
)

// sweepSoonLocked schedules a sweep, unless no server can expire.
func (r *GeeRegistry) sweepSoonLocked() {
	if r.sweeping || r.timeout <= 0 || len(r.servers) == 0 {
		return
	}
	r.sweeping = true
	time.AfterFunc(sweepInterval, r.sweep)
}

// sweep marks servers as silent, and removes those whose time is over.
func (r *GeeRegistry) sweep() {
	r.mu.Lock()
	expired, kept := r.sweepLocked(time.Now())
	r.sweeping = false
	r.sweepSoonLocked()
	r.mu.Unlock()
	for _, addr := range expired {
		r.report(slog.LevelWarn, "rpc registry: server expired", "addr", addr)
	}
	if kept > 0 {
		r.report(slog.LevelWarn, "rpc registry: most servers have fallen silent at once; those whose time is over are kept for a while",
			"kept", kept, "grace", r.grace())
	}
}

// sweepLocked returns the addresses that it has removed, sorted, and the number
// of servers that are kept from now on though their time is over.
func (r *GeeRegistry) sweepLocked(now time.Time) (expired []string, kept int) {
	grace := r.inGraceLocked(now)
	for addr, s := range r.servers {
		switch overdue := now.Sub(s.expiresAt); {
		case overdue < 0:
			if s.interval > 0 && !s.lateAt.After(now) && !s.Silent {
				r.markSilentLocked(s, false)
			}
		case !grace || overdue >= r.grace():
			expired = append(expired, addr)
			r.removeLocked(s, wasSilent, now)
		case !s.inGrace:
			r.markSilentLocked(s, true)
			kept++
		}
	}
	slices.Sort(expired)
	return expired, kept
}

// markSilentLocked marks a server as silent. With inGrace, its time is over.
func (r *GeeRegistry) markSilentLocked(s *ServerItem, inGrace bool) {
	marked := *s
	marked.Silent, marked.inGrace = true, inGrace
	r.servers[s.Addr] = &marked
	if !s.Silent {
		r.changedLocked(s.Addr)
	}
}

// inGraceLocked reports whether servers are kept when their time is over, because
// most fell silent at once.
//
// It counts the servers that are late, and not only those whose time is over:
// heartbeats come at different times, so when a registry is cut off, the first
// servers would expire before most of them are overdue.
func (r *GeeRegistry) inGraceLocked(now time.Time) bool {
	late := 0
	for _, s := range r.servers {
		if !s.lateAt.After(now) {
			late++
		}
	}
	if len(r.servers) >= minForGrace && 2*late > len(r.servers) {
		r.silentAt = now
	}
	return !r.silentAt.IsZero() && now.Sub(r.silentAt) < graceAfterRecovery
}

// grace returns how long servers may be kept after their time.
func (r *GeeRegistry) grace() time.Duration {
	if r.Grace == 0 {
		return DefaultGrace
	}
	return r.Grace
}
