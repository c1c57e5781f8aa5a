package xclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"geerpc/internal/registryapi"
)

const (
	refreshLimit = 5 * time.Second  // for a registry to answer
	watchWait    = 30 * time.Second // for which one is asked to hold its answer back if nothing changes

	maxAskPause = 5 * time.Second // before a registry that failed is asked again

	legacyTTL = 5 * time.Minute // of servers in GeeRPC's registry, unless it was made with another

	maxChanges = 1e6 // between two answers; an index that has grown by more is that of a registry started anew
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
	u, err := registryapi.ParseURL(text)
	if err == nil {
		return &source{url: text, name: u.Redacted()}, nil
	}
	if i := strings.LastIndexByte(text, '@'); i >= 0 {
		text = "…" + text[i:]
	}
	return nil, fmt.Errorf("the registry %.300q: want a URL such as http://10.0.0.1:9999"+registryapi.DefaultPath, text)
}

// A kept server is one that stays for a while though it is not listed.
type kept struct {
	Endpoint
	until time.Time
}

// An answer is what a registry says. Its Index is 0 if the registry can't be
// watched.
type answer registryapi.List[Endpoint]

// from returns the list after an answer to one who had a list already, which is
// not changed.
func (a answer) from(servers []Endpoint) []Endpoint {
	if a.Since == 0 {
		return a.Servers
	}
	if len(a.Servers) == 0 && len(a.Gone) == 0 {
		return servers
	}
	gone := make(map[string]bool, len(a.Gone))
	for _, addr := range a.Gone {
		gone[addr] = true
	}
	list := make([]Endpoint, 0, len(servers)+len(a.Servers))
	rest := a.Servers
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
	return index != 0 && max(a.Index, index)-min(a.Index, index) > maxChanges
}

// outdated tells whether an answer has an older list than that of an index: a
// registry with many readers that don't read tells one for a while.
func (a answer) outdated(index uint64) bool {
	return a.Index < index && !a.restarted(index)
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
	if err == nil && a.Since != 0 && a.Since != q.index {
		err = fmt.Errorf("what has changed since %d, and not %d", a.Since, q.index)
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
	return registryapi.Watch{Index: q.index, Wait: q.wait, Changes: true}.URL(s.url)
}

// parseAnswer returns what is in a registry's response: in JSON, or in the
// header that is all that GeeRPC's registry has.
func parseAnswer(resp *http.Response) (answer, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return answer{}, fmt.Errorf("status %.64s; %s", resp.Status, registryapi.PathHint)
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
	lists := resp.Header.Values(registryapi.ServersHeader)
	if len(lists) == 0 {
		return answer{}, errors.New("no " + registryapi.ServersHeader + " in the answer; is it a registry?")
	}
	return answer{Servers: parseServers(strings.Join(lists, ","))}, nil
}

// parseJSON reads an answer, and leaves out the addresses that nobody could ever
// dial.
func parseJSON(r io.Reader) (answer, error) {
	text, err := io.ReadAll(io.LimitReader(r, registryapi.MaxAnswerBytes+1))
	if err != nil {
		return answer{}, &lostError{err}
	}
	if len(text) > registryapi.MaxAnswerBytes {
		return answer{}, fmt.Errorf("a list of more than %d bytes", registryapi.MaxAnswerBytes)
	}
	var a answer
	switch err := json.Unmarshal(text, &a); {
	case err != nil:
		return answer{}, err
	case a.Index == 0:
		return answer{}, errors.New("no index in the answer; is it a registry?")
	}
	u := newUnion(len(a.Servers))
	for _, e := range a.Servers {
		if registryapi.Dialable(e.Addr) {
			u.add(e)
		}
	}
	a.Servers = sorted(u.endpoints)
	return a, nil
}

// parseServers returns the servers in a list of addresses, but for those that
// nobody could ever dial.
func parseServers(list string) []Endpoint {
	u := newUnion(0)
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); registryapi.Dialable(addr) {
			u.add(Endpoint{Addr: addr})
		}
	}
	return sorted(u.endpoints)
}
