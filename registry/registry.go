// Package registry tells the callers of a service where its servers are. A
// server registers and says again and again that it is alive; it is forgotten
// when it says good-bye or falls silent. An xclient.GeeRegistryDiscovery has
// the list, and hears of a change within moments.
//
// A GeeRegistry is an http.Handler, so it lives in a process of its own
// (geerpc registry, in cmd/geerpc) or on the mux of any other program:
//
//	mux.Handle("/_geerpc_/registry", registry.New(registry.DefaultTimeout))
//
// Serve serves a listener and keeps it registered; Register does the second
// alone. Whoever depends on the registry runs two or three that know nothing of
// each other: a server registers with all of them, a caller merges their lists,
// and any one of them is enough. Nothing is on disk. A registry that was
// restarted knows everybody again one heartbeat later, and callers use the list
// that they have until then.
//
// # The protocol
//
// It is plain HTTP, with an address being what geerpc.XDial takes:
//
//	POST    X-Geerpc-Server: tcp@10.0.0.1:9999    registers, or beats
//	        X-Geerpc-Interval: 10s                when the next beat is due
//	        X-Geerpc-Version: 1                   what GeeRPC's first version lacks
//	        X-Geerpc-Services: Arith,Clock        what the server offers
//	        X-Geerpc-Weight: 2                    its share of the calls
//	        X-Geerpc-Metadata: zone=b&build=7     whatever else there is to tell
//	        X-Geerpc-Instance: 3F5K…              a random name of this registration
//	DELETE  X-Geerpc-Server: tcp@10.0.0.1:9999    deregisters
//	        X-Geerpc-Instance: 3F5K…              this registration, and no other of that address
//	GET     answered by X-Geerpc-Servers: tcp@10.0.0.1:9999,tcp@10.0.0.2:9999
//
// All but the address may be left out. To a GET that accepts application/json,
// or asks for ?format=json, the answer is an object: servers is an array of
// ServerItem in the order of their addresses, and index a number of 64 bits that
// is another one after each change and after a restart. X-Geerpc-Index has it
// too, for languages whose JSON doesn't hold so many. With ?index=N&wait=30s
// that GET is a watch: it is answered a moment after the index is not N any
// more, and when the time is over, 60 seconds at most. With ?index=N&changes=1
// the answer may be what has changed since N: it has since, which is N, then, the
// servers that are new or say something else, and gone, the addresses of those that
// have left. A browser gets a page,
// and curl, or whatever else accepts all or asks for ?format=text, an address a
// line. HEAD is answered as GET, without the body.
//
// Reading is free to all who can reach the registry. Writing is too, unless a
// Token is set.
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

// DefaultTimeout is how long the DefaultGeeRegister keeps a server whose beats
// don't say when the next one is due.
const DefaultTimeout = 5 * time.Minute

// DefaultGrace is the GeeRegistry.Grace where none is given.
const DefaultGrace = 5 * time.Minute

const (
	sweepPause = time.Second // between two looks for servers that are overdue

	// maxServers is the default of MaxServers and MaxWatches. For GeeRPC's
	// callers the list has to fit into a response header, of which Go's client
	// takes 10 MiB.
	maxServers = 16384
)

var (
	errFull     = errors.New("rpc registry: too many servers")
	errDeparted = errors.New("rpc registry: a beat that came after its server's goodbye")
	errLarge    = fmt.Errorf("rpc registry: the servers say too much of themselves: with this the list would have more than %d MiB", registryapi.MaxListBytes>>20)
)

// A GeeRegistry is a list of servers that are alive, and the http.Handler that
// keeps and tells it. It is safe for concurrent use; the zero value never
// expires a server. The fields are set before it is used, and not changed after.
//
// The servers and watches are limited, and so is what the servers say of
// themselves, to 12 MiB; more are refused with status 503 until others have gone.
// Lists that are being read take no more than 32 MiB: of those who take too
// long, the ones with the oldest list are cut off. Changes are told up to 128 KiB.
type GeeRegistry struct {
	// Token, if not empty, must come with every POST and DELETE, as
	// "Authorization: Bearer" and the token; others are answered 401. It is as
	// secret as the connection it is sent over.
	Token string

	// Tokens, if not nil, returns tokens of which any will do, and is asked at
	// every POST and DELETE: during a rotation there are two. An empty one is none.
	// If it returns none, and Token is empty, every write is refused. It may be
	// called from many goroutines at once.
	Tokens func() []string

	// Grace is for how long after its time a server is kept when most vanish
	// at once. That one server falls silent means that it is dead; that most
	// do, within the same moments, more likely means that the registry can't
	// hear them, while their callers still reach them. So if there are three
	// servers or more, and of more than half nothing has been heard for half of
	// their time to live, none expires. Those whose time is over stay on the
	// list, marked silent, until they are heard again, deregister, or Grace ends. When half
	// are back the others have half a minute more to follow. Zero:
	// DefaultGrace; negative: servers expire however many there are.
	Grace time.Duration

	// MaxServers is how many servers there may be, and MaxWatches how many watches
	// may wait at a time. Zero or negative: 16,384.
	MaxServers, MaxWatches int

	// Logger hears of servers that come and go. Nil: nobody does.
	Logger *slog.Logger

	timeout time.Duration
	answers answers
	watch   watch
	pages   atomic.Int32 // being read
	reports report.Queue

	mu       sync.Mutex // guards what follows, and watch
	departed departed
	servers  map[string]*ServerItem // what these point to never changes
	bytes    int                    // of all servers in JSON
	sweeping bool                   // a sweep is due
	spared   time.Time              // when a sweep last found most of the servers late
}

// New returns an empty GeeRegistry. A server that announces the interval of its
// beats expires when it has been silent for three of them, any other one when
// it has been silent for timeout; either is noticed within a second. With a
// timeout of zero, or less, no server ever expires.
func New(timeout time.Duration) *GeeRegistry {
	return &GeeRegistry{timeout: timeout}
}

// orDefault returns a limit, or the default in place of none.
func orDefault(limit int) int {
	if limit <= 0 {
		return maxServers
	}
	return limit
}

// Servers returns the list of now, in the order of the addresses.
func (r *GeeRegistry) Servers() []ServerItem {
	servers, _ := r.copy()
	return servers
}

// copy returns the list and its index.
func (r *GeeRegistry) copy() ([]ServerItem, uint64) {
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

// put registers a server, or keeps it for longer.
func (r *GeeRegistry) put(item *ServerItem) error {
	known, err := r.putLocked(item)
	if err == nil && !known {
		r.report(slog.LevelInfo, "rpc registry: server registered", "addr", item.Addr, "services", item.Services, "legacy", item.Legacy)
	}
	return err
}

// putLocked reports whether the server was there before. It locks r itself. A
// beat that says more than there is room for is refused, but its server is alive.
func (r *GeeRegistry) putLocked(item *ServerItem) (known bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.departed.has(item.instance, now) {
		return false, errDeparted
	}
	before := r.servers[item.Addr]
	if before == nil && len(r.servers) >= orDefault(r.MaxServers) {
		return false, errFull
	}
	item.heard(now, r.timeout)
	item.meet(before, now, r.timeout > 0)
	news := before == nil || !before.same(item)
	if !news {
		item.bytes = before.bytes
	} else if err = r.measureLocked(item, before); err != nil {
		if before == nil {
			return false, err
		}
		item, news = before.again(item.instance, now, r.timeout), before.Silent
	}
	if before != nil {
		item.Since = before.Since
	}
	if r.servers == nil {
		r.servers = make(map[string]*ServerItem)
	}
	r.servers[item.Addr] = item
	if news {
		r.changedLocked(item.Addr)
	}
	r.sweepSoonLocked()
	return before != nil, err
}

// measureLocked adds to the sum what an item has more in the list than the one
// that it replaces, if any, unless that is too much.
func (r *GeeRegistry) measureLocked(item, before *ServerItem) error {
	item.bytes = item.measure()
	more := item.bytes
	if before != nil {
		more -= before.bytes
	}
	if r.bytes+more > registryapi.MaxListBytes {
		return errLarge
	}
	r.bytes += more
	return nil
}

// forgetLocked takes a server off the list.
func (r *GeeRegistry) forgetLocked(s *ServerItem) {
	delete(r.servers, s.Addr)
	r.bytes -= s.bytes
	r.changedLocked(s.Addr)
}

// remove deregisters an instance of a server, or all of them if it has no name,
// as servers of the original version have none. The server leaves the list with
// the last of them.
func (r *GeeRegistry) remove(addr, name string) {
	if r.removeInstance(addr, name, time.Now()) {
		r.report(slog.LevelInfo, "rpc registry: server left", "addr", addr)
	}
}

// removeInstance reports whether the server has left the list.
func (r *GeeRegistry) removeInstance(addr, name string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name != "" {
		r.departed.add(name, now)
	}
	s := r.servers[addr]
	if s == nil {
		return false
	}
	var rest []instance
	if name != "" {
		rest = s.without(name, now)
	}
	if len(rest) == 0 {
		r.forgetLocked(s)
		return true
	}
	if len(rest) < len(s.known) {
		left := *s
		left.known = rest
		left.settle()
		r.servers[addr] = &left
	}
	return false
}

// report has a message logged, without waiting for the Logger.
func (r *GeeRegistry) report(level slog.Level, text string, args ...any) {
	r.reports.Log(r.Logger, level, text, args...)
}
