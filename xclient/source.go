package xclient

import (
	"fmt"
	"strings"
	"time"

	"geerpc/internal/registryapi"
)

// legacyTTL is the TTL in GeeRPC's registry, unless it was made with another one.
const legacyTTL = 5 * time.Minute

// A source is a registry, and what it has answered. GeeRegistryDiscovery.state guards
// all but its URL.
type source struct {
	url  string
	name string // the URL without the password

	servers []Endpoint // as of its last good answer
	kept    []kept     // servers that it forgot, rather than said that they have left

	index     uint64    // of its last good answer, 0 if it can't be watched
	confirmed time.Time // the time of its last good answer that left nothing in kept
	failing   time.Time // since when it fails, zero if it answers
	err       error     // the latest one, while it fails
	notBefore time.Time // it is not asked earlier, even if a call waits
}

// newSource returns the registry at a URL. If the URL is bad, the error leaves out
// what may be a password.
func newSource(text string) (*source, error) {
	u, err := registryapi.ParseURL(text)
	if err == nil {
		return &source{url: text, name: u.Redacted()}, nil
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = "…" + text[i:]
	}
	return nil, fmt.Errorf("the registry %.300q: want a URL such as http://10.0.0.1:9999"+registryapi.DefaultPath, text)
}

// A kept server stays on the list until a time, though its registry does not list it.
type kept struct {
	Endpoint
	until time.Time
}

// take notes a good answer. A registry that was restarted, or suddenly lists no
// servers, has forgotten them: the servers stay until the registry lists them
// again, or the grace time is over. If it was restarted, or may have been, that is at
// least as long as it takes until their next heartbeats.
func (s *source) take(a answer, now time.Time) {
	s.failing, s.err = time.Time{}, nil
	if a.outdated(s.index) {
		return
	}
	restarted := a.restarted(s.index)
	servers := a.from(s.servers)
	emptied := len(servers) == 0 && len(s.servers) > 0
	stay := s.keptAt(now)
	if restarted || emptied {
		for _, e := range s.servers {
			grace := graceTime
			if restarted || a.Index == 0 {
				grace = max(grace, timeToLive(e, a.Index == 0))
			}
			stay = append(stay, kept{e, now.Add(grace)})
		}
	}
	if s.kept = without(stay, servers); len(s.kept) == 0 {
		s.confirmed = now
	}
	s.servers, s.index = servers, a.Index
}

// timeToLive returns how long a registry keeps a server without a heartbeat, as far
// as that is known. GeeRPC's servers send one every four minutes, and its registry,
// which can't be watched, doesn't say which servers are GeeRPC's.
func timeToLive(e Endpoint, unwatched bool) time.Duration {
	if e.TTL == 0 && (e.Legacy || unwatched) {
		return legacyTTL
	}
	return e.TTL
}

// fail notes that the registry gave no good answer.
func (s *source) fail(err error, now time.Time) {
	if s.err = err; s.failing.IsZero() {
		s.failing = now
	}
}

// keptAt returns the servers that are kept at a time. Each keeps its own end, so that
// a registry which restarts again and again keeps none for ever.
func (s *source) keptAt(now time.Time) (stay []kept) {
	for _, k := range s.kept {
		if now.Before(k.until) {
			stay = append(stay, k)
		}
	}
	return stay
}

// without returns the servers of stay that are not listed.
func without(stay []kept, listed []Endpoint) (rest []kept) {
	if len(stay) == 0 {
		return nil
	}
	back := make(map[string]bool, len(listed))
	for _, e := range listed {
		back[e.Addr] = true
	}
	for _, k := range stay {
		if !back[k.Addr] {
			rest = append(rest, k)
		}
	}
	return rest
}
