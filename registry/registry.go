package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/internal/registryapi"
	"geerpc/internal/report"
)

// DefaultTimeout is how long the DefaultGeeRegister keeps a server whose
// heartbeats don't announce an interval.
const DefaultTimeout = 5 * time.Minute

// DefaultGrace is the default of GeeRegistry.Grace.
const DefaultGrace = 5 * time.Minute

const (
	sweepInterval = time.Second // between two searches for servers whose time is over

	// maxServers is the default of MaxServers and MaxWatches. For GeeRPC's
	// callers the list has to fit into a response header, of which Go's client
	// takes 10 MiB.
	maxServers = 16384
)

var (
	errFull         = errors.New("rpc registry: too many servers")
	errDeregistered = errors.New("rpc registry: a beat that came after its server's goodbye")
	errLarge        = fmt.Errorf("rpc registry: the servers say too much of themselves: with this the list would have more than %d MiB", registryapi.MaxListBytes>>20)
)

// A GeeRegistry is a list of servers that are alive, and the http.Handler through
// which they register and clients read the list. It is safe for concurrent use; the zero value never
// expires a server. The fields are set before it is used, and not changed after.
//
// The numbers of servers and watches are limited, and the list in JSON to 12 MiB;
// beyond that, requests are refused with status 503 until others have gone. Lists
// that are being sent take no more than 32 MiB: beyond that, the readers of the
// oldest list are cut off. Changes are sent as such up to 128 KiB.
type GeeRegistry struct {
	// Token, if not empty, must come with every POST and DELETE, as
	// "Authorization: Bearer" and the token; others are answered 401. It is as
	// secret as the connection it is sent over.
	Token string

	// Tokens, if not nil, is called at every POST and DELETE, and returns tokens of
	// which any will do: during a rotation there are two. Empty ones are ignored.
	// If there is none, and Token is empty, every write is refused. It is called by
	// many goroutines at once.
	Tokens func() []string

	// Grace is how long after its TTL a server is kept when most servers fall
	// silent at once. If one server falls silent it is dead. If most do so at the
	// same time, more likely the registry can't hear them, while their callers
	// still reach them. So if there are at least three servers, and more than half
	// have sent no heartbeat for half of their TTL, none expires. Those whose TTL is
	// over stay on the list, marked silent, until they send a heartbeat, deregister,
	// or Grace ends. When half are back, the others have half a minute more. Zero:
	// DefaultGrace; negative: servers always expire.
	Grace time.Duration

	// MaxServers limits the number of servers, and MaxWatches that of watches that
	// wait at the same time. Zero or negative: 16,384.
	MaxServers, MaxWatches int

	// Logger gets a message when a server registers, deregisters or expires, and when a
	// request to write is refused for its token. Nil: there are none.
	Logger *slog.Logger

	timeout time.Duration
	answers answers
	watch   watch
	pages   atomic.Int32 // being sent
	events  sharedSummary
	reports report.Queue

	mu           sync.Mutex // guards what follows, and watch
	deregistered deregistered
	departures   departures
	servers      map[string]*ServerItem // by address; items are replaced, never changed
	jsonBytes    int                    // reserved for all servers in JSON
	sweeping     bool                   // a timer for the next sweep is set
	silentAt     time.Time              // when a sweep last found most servers silent
}

// New returns an empty GeeRegistry. A server that announces the interval of its
// heartbeats expires after three intervals without one, any other server after
// timeout. The registry notices within a second. With a timeout of zero or less,
// no server ever expires.
func New(timeout time.Duration) *GeeRegistry {
	return &GeeRegistry{timeout: timeout}
}

// orDefault returns a limit, or the default if none is set.
func orDefault(limit int) int {
	if limit <= 0 {
		return maxServers
	}
	return limit
}

// Servers returns the current list, sorted by address.
func (r *GeeRegistry) Servers() []ServerItem {
	servers, _ := r.snapshot()
	return servers
}

// snapshot returns a copy of the list, and its index.
func (r *GeeRegistry) snapshot() ([]ServerItem, uint64) {
	r.mu.Lock()
	items := slices.Collect(maps.Values(r.servers))
	index := r.watch.indexLocked()
	r.mu.Unlock()
	servers := make([]ServerItem, len(items))
	for i, item := range items {
		servers[i] = *item
	}
	slices.SortFunc(servers, func(a, b ServerItem) int { return strings.Compare(a.Addr, b.Addr) })
	return servers, index
}

// register adds a server, or renews its lease.
func (r *GeeRegistry) register(item *ServerItem) error {
	renewed, err := r.registerItem(item)
	if err == nil && !renewed {
		r.report(slog.LevelInfo, "rpc registry: server registered", "addr", item.Addr, "services", item.Services, "legacy", item.Legacy)
	}
	return err
}

// registerItem reports whether the server was there before. If a heartbeat says
// more than there is room for it is refused, but it still renews the lease.
func (r *GeeRegistry) registerItem(item *ServerItem) (renewed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.deregistered.has(item.instance, now) {
		return false, errDeregistered
	}
	before := r.servers[item.Addr]
	if before == nil && len(r.servers) >= orDefault(r.MaxServers) {
		return false, errFull
	}
	item.renew(now, r.timeout)
	item.joinInstances(before, now, r.timeout > 0)
	changed := before == nil || !before.sameForCallers(item)
	if !changed {
		item.jsonBytes = before.jsonBytes
	} else if err = r.reserveLocked(item, before); err != nil {
		if before == nil {
			return false, err
		}
		item, changed = before.renewedBy(item.instance, now, r.timeout), before.Silent
	}
	if before != nil {
		item.Since = before.Since
	}
	if r.servers == nil {
		r.servers = make(map[string]*ServerItem)
	}
	r.servers[item.Addr] = item
	r.noteReplacedLocked(before, item, now)
	if changed {
		r.changedLocked(item.Addr)
	}
	r.sweepSoonLocked()
	return before != nil, err
}

// reserveLocked reserves room in the list for an item, in place of the one before,
// if any. It fails if there is not enough.
func (r *GeeRegistry) reserveLocked(item, before *ServerItem) error {
	item.jsonBytes = item.maxJSONBytes()
	more := item.jsonBytes
	if before != nil {
		more -= before.jsonBytes
	}
	if r.jsonBytes+more > registryapi.MaxListBytes {
		return errLarge
	}
	r.jsonBytes += more
	return nil
}

// removeLocked removes a server from the list, and notes why.
func (r *GeeRegistry) removeLocked(s *ServerItem, why string, now time.Time) {
	r.departures.add(s.Addr, why, now)
	delete(r.servers, s.Addr)
	r.jsonBytes -= s.jsonBytes
	r.changedLocked(s.Addr)
}

// deregister removes an instance of a server, or all of them if no name is given:
// servers of GeeRPC's original version have none. The server leaves the list with
// its last instance.
func (r *GeeRegistry) deregister(addr, name string) {
	if r.deregisterInstance(addr, name, time.Now()) {
		r.report(slog.LevelInfo, "rpc registry: server left", "addr", addr)
	}
}

// deregisterInstance reports whether the server has left the list.
func (r *GeeRegistry) deregisterInstance(addr, name string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name != "" {
		r.deregistered.add(name, now)
	}
	s := r.servers[addr]
	if s == nil {
		return false
	}
	var rest []instance
	if name != "" {
		rest = s.remainingWithout(name, now)
	}
	if len(rest) == 0 {
		r.removeLocked(s, saidGoodbye, now)
		return true
	}
	if len(rest) < len(s.instances) {
		r.departures.add(addr, wasReplaced, now)
		remaining := *s
		remaining.instances = rest
		remaining.setExpiry()
		r.servers[addr] = &remaining
	}
	return false
}

// report logs a message without waiting for the Logger.
func (r *GeeRegistry) report(level slog.Level, text string, args ...any) {
	r.reports.Log(r.Logger, level, text, args...)
}
