package registry

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// ttlIntervals is how many of its intervals a server lives without a heartbeat.
const ttlIntervals = 3

// A ServerItem is a registered server. It must not be changed.
type ServerItem struct {
	// Addr is what geerpc.XDial takes, 255 bytes at most.
	Addr string `json:"addr"`

	// Weight is the server's share of the calls in proportion to that of the
	// others, from 1 to 1,000,000.
	Weight int `json:"weight"`

	// Services are the names of the services that the server offers, sorted; at
	// most 100 and 8 KiB. None: the server didn't say.
	Services []string `json:"services,omitempty"`

	// Metadata is whatever else the server says: at most 64 pairs and, as the query
	// of a URL, 4 KiB.
	Metadata map[string]string `json:"metadata,omitempty"`

	// Legacy marks a server that registered as GeeRPC's original version does.
	Legacy bool `json:"legacy,omitempty"`

	// Since is when the server registered.
	Since time.Time `json:"since"`

	// LastBeat is when the server sent its latest heartbeat. A heartbeat alone is
	// no change that a watch waits for.
	LastBeat time.Time `json:"last_beat"`

	// TTL is how long the server is kept without a heartbeat, in JSON in
	// nanoseconds: three of its intervals, or New's timeout if it announced none.
	// Callers keep it as long when its registry was restarted and doesn't know it
	// yet. Zero: for ever. With a registry whose timeout is zero or less no server
	// expires, whatever its TTL.
	TTL time.Duration `json:"ttl,omitempty"`

	// Silent marks a server that is probably dead: it has sent no heartbeat for half
	// of its TTL. A server whose TTL is over may be kept, and is Silent too, if most
	// servers fell silent at once; see GeeRegistry.Grace. A server that announces no
	// interval is Silent only then.
	Silent bool `json:"silent,omitempty"`

	instance  string        // that sent the latest heartbeat, "" if it has no name
	instances []instance    // of this address, the latest last
	inGrace   bool          // its TTL is over, and it is kept
	jsonBytes int           // reserved in the list
	interval  time.Duration // announced; 0: none
	lateAt    time.Time     // when it becomes silent
	expiresAt time.Time     // when its TTL is over; both are monotonic, so setting the clock expires no server
}

// renew renews the lease of the server. timeout is its TTL if it announces no
// interval.
func (s *ServerItem) renew(now time.Time, timeout time.Duration) {
	s.LastBeat = now.UTC().Truncate(time.Millisecond)
	s.Since = s.LastBeat
	s.TTL = max(timeout, 0)
	s.lateAt = now.Add(timeout)
	if s.interval > 0 {
		s.TTL = ttlIntervals * s.interval
		s.lateAt = now.Add(s.TTL / 2)
	}
	s.expiresAt = now.Add(s.TTL)
}

// longestTime is a time that is as long in JSON as any that renew sets.
var longestTime = time.Date(2006, 1, 2, 15, 4, 5, int(999*time.Millisecond), time.UTC)

// maxJSONBytes returns how long the item is in a list in JSON, at most, whenever
// its lease is renewed.
func (s ServerItem) maxJSONBytes() int {
	s.Since, s.LastBeat, s.Silent = longestTime, longestTime, true
	text, _ := json.Marshal(s) // strings, numbers and times: it can't fail
	return len(text) + len(",")
}

// sameForCallers reports whether two items differ in nothing that callers use.
func (s *ServerItem) sameForCallers(other *ServerItem) bool {
	return s.Weight == other.Weight && s.Legacy == other.Legacy && s.Silent == other.Silent && s.TTL == other.TTL &&
		slices.Equal(s.Services, other.Services) && maps.Equal(s.Metadata, other.Metadata)
}
