package xclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	refreshLimit = 5 * time.Second  // for a registry to answer
	watchWait    = 30 * time.Second // for which one is asked to hold its answer back if nothing changes

	maxAskPause = 5 * time.Second // before a registry that failed is asked again

	legacyTTL = 5 * time.Minute // of servers in GeeRPC's registry, unless it was made with another

	maxListBytes = 16 << 20
	maxChanges   = 1e6 // between two answers; an index that has grown by more is that of a registry started anew

	serversHeader = "X-Geerpc-Servers"
)

// A source is a registry, and what it has said. The GeeRegistryDiscovery's
// state guards all but where it is.
type source struct {
	url  string
	name string // the URL without a password

	servers []Endpoint // in its last good answer
	kept    []kept     // that it did not say have gone: it has forgotten all

	index     uint64    // of its last good answer, 0 if it can't be watched
	confirmed time.Time // when it last said so, with nobody kept
	failing   time.Time // since when it has failed, zero if it answers
	err       error     // then
	notBefore time.Time // until when it is not asked, whoever waits
}

// newSource returns the registry at a URL, or what is wrong with that: of one
// that may have a password only what comes after is shown.
func newSource(text string) (*source, error) {
	u, err := url.Parse(text)
	if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return &source{url: text, name: u.Redacted()}, nil
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = "…" + text[i:]
	}
	return nil, fmt.Errorf("the registry %.300q: want a URL such as http://10.0.0.1:9999/_geerpc_/registry", text)
}

// A kept server is one that stays for a while though it is not listed.
type kept struct {
	Endpoint
	until time.Time
}

// An answer is what a registry says.
type answer struct {
	index   uint64     // to watch for the next with; 0: it can't be watched
	since   uint64     // the index whose servers it adds to; 0: there are no others
	servers []Endpoint // in the order of their addresses
	gone    []string   // since then
}

// from returns the list after an answer to one who had a list already, which is
// not changed.
func (a answer) from(servers []Endpoint) []Endpoint {
	if a.since == 0 {
		return a.servers
	}
	if len(a.servers) == 0 && len(a.gone) == 0 {
		return servers
	}
	gone := make(map[string]bool, len(a.gone))
	for _, addr := range a.gone {
		gone[addr] = true
	}
	list := make([]Endpoint, 0, len(servers)+len(a.servers))
	rest := a.servers
	for _, e := range servers {
		for len(rest) > 0 && rest[0].Addr < e.Addr {
			list = append(list, rest[0])
			rest = rest[1:]
		}
		switch {
		case len(rest) > 0 && rest[0].Addr == e.Addr:
			list = append(list, rest[0])
			rest = rest[1:]
		case !gone[e.Addr]:
			list = append(list, e)
		}
	}
	return append(list, rest...)
}

// A lostError is that no answer came, or half of one, or a proxy's.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// A crowdedError is that a registry has too much to do for this question, and
// says when to ask again.
type crowdedError struct {
	error
	after time.Duration
}

func (e *crowdedError) Unwrap() error { return e.error }

// minRetryAfter and maxRetryAfter bound what a Retry-After says.
const (
	minRetryAfter = time.Second
	maxRetryAfter = time.Minute
)

// retryAfter returns what a Retry-After says in seconds, or that a date's is
// not known.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return DefaultUpdateTimeout
	}
	return min(max(time.Duration(seconds)*time.Second, minRetryAfter), maxRetryAfter)
}

// restarted tells whether a registry that had an index before is another one,
// or was started anew.
func (a answer) restarted(index uint64) bool {
	return index != 0 && max(a.index, index)-min(a.index, index) > maxChanges
}

// outdated tells whether an answer has an older list than that of an index: a
// registry with many readers that don't read tells one for a while.
func (a answer) outdated(index uint64) bool {
	return a.index < index && !a.restarted(index)
}

// take notes a good answer. A registry that lists nobody any more, or that was
// started anew, does not know yet who is there: those that were are kept for a
// while, or until it has heard of them. If it was started anew, or may have been,
// that is for as long as their next beats may take.
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
			if restarted || a.index == 0 {
				grace = max(grace, timeToLive(e, a.index == 0))
			}
			stay = append(stay, kept{e, now.Add(grace)})
		}
	}
	if s.kept = without(stay, servers); len(s.kept) == 0 {
		s.confirmed = now
	}
	s.servers, s.index = servers, a.index
}

// timeToLive returns for how long a registry keeps a server of which it hears
// nothing, as far as that is known. GeeRPC's servers beat every four minutes, and
// its registry, which can't be watched, doesn't say who is one.
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

// keptAt returns who is kept on the list at a time, each until its own time: a
// registry that restarts again and again keeps nobody for ever.
func (s *source) keptAt(now time.Time) (stay []kept) {
	for _, k := range s.kept {
		if now.Before(k.until) {
			stay = append(stay, k)
		}
	}
	return stay
}

// without returns those of stay whose address nobody of listed has.
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

// ask asks the registry who is there.
func (s *source) ask(ctx context.Context, client *http.Client, q question) (answer, error) {
	where, err := s.where(q)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit+q.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json")
	req.Close = q.last
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, &lostError{err}
	}
	defer resp.Body.Close() // without reading on, be it endless
	a, err := parseAnswer(resp)
	if err == nil && a.since != 0 && a.since != q.index {
		err = fmt.Errorf("what has changed since %d, and not %d", a.since, q.index)
	}
	if err != nil {
		return answer{}, fmt.Errorf("registry %s: %w", s.name, err)
	}
	return a, nil
}

// where returns the URL for a question.
func (s *source) where(q question) (string, error) {
	if q.index == 0 {
		return s.url, nil
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("index", strconv.FormatUint(q.index, 10))
	query.Set("wait", q.wait.String())
	query.Set("changes", "1")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// parseAnswer returns what is in a registry's response: in JSON, or in the
// header that is all that GeeRPC's registry has.
func parseAnswer(resp *http.Response) (answer, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return answer{}, fmt.Errorf("status %.64s; is the path /_geerpc_/registry?", resp.Status)
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		err := error(&lostError{fmt.Errorf("status %.64s", resp.Status)})
		if after := resp.Header.Get("Retry-After"); after != "" {
			err = &crowdedError{err, retryAfter(after)}
		}
		return answer{}, err
	default:
		return answer{}, fmt.Errorf("status %.64s", resp.Status)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "application/json" {
		return parseJSON(resp.Body)
	}
	lists := resp.Header.Values(serversHeader)
	if len(lists) == 0 {
		return answer{}, errors.New("no " + serversHeader + " in the answer; is it a registry?")
	}
	return answer{servers: parseServers(strings.Join(lists, ","))}, nil
}

// parseJSON reads a list of at most maxListBytes, and leaves out the addresses
// that nobody could ever dial.
func parseJSON(r io.Reader) (answer, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxListBytes+1))
	if err != nil {
		return answer{}, &lostError{err}
	}
	if len(text) > maxListBytes {
		return answer{}, fmt.Errorf("a list of more than %d bytes", maxListBytes)
	}
	var list struct {
		Index   uint64     `json:"index"`
		Since   uint64     `json:"since"`
		Gone    []string   `json:"gone"`
		Servers []Endpoint `json:"servers"`
	}
	switch err := json.Unmarshal(text, &list); {
	case err != nil:
		return answer{}, err
	case list.Index == 0:
		return answer{}, errors.New("no index in the answer; is it a registry?")
	}
	u := newUnion(len(list.Servers))
	for _, e := range list.Servers {
		if plausible(e.Addr) {
			u.add(e)
		}
	}
	return answer{index: list.Index, since: list.Since, servers: sorted(u.endpoints), gone: list.Gone}, nil
}

// parseServers returns the servers in a list of addresses, but for those that
// nobody could ever dial.
func parseServers(list string) []Endpoint {
	u := newUnion(0)
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); plausible(addr) {
			u.add(Endpoint{Addr: addr})
		}
	}
	return sorted(u.endpoints)
}
