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
	watchWait    = 30 * time.Second // how long a watched registry holds back its answer if nothing changes

	maxAskPause = 5 * time.Second // before a registry that failed is asked again

	// maxChanges limits the changes between two answers. An index that has grown by
	// more is that of a restarted registry.
	maxChanges = 1e6
)

// An answer is what a registry says. Its Index is 0 if the registry can't be
// watched.
type answer registryapi.List[Endpoint]

// from returns the list after an answer, given the list before, which is not
// changed.
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

// restarted reports whether a registry that had an index before was restarted, or is
// another one.
func (a answer) restarted(index uint64) bool {
	return index != 0 && max(a.Index, index)-min(a.Index, index) > maxChanges
}

// outdated reports whether an answer is older than that of an index: a registry with
// many stalled readers sends an old list for a while.
func (a answer) outdated(index uint64) bool {
	return a.Index < index && !a.restarted(index)
}

// A lostError means that no answer came, or half of one, or that of a proxy.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// An overloadedError means that a registry has too much to do for this question, and
// says when to ask again.
type overloadedError struct {
	error
	after time.Duration
}

func (e *overloadedError) Unwrap() error { return e.error }

// minRetryAfter and maxRetryAfter bound what a Retry-After says.
const (
	minRetryAfter = time.Second
	maxRetryAfter = time.Minute
)

// retryAfter returns the pause in a Retry-After header, or a default if it is a date.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return DefaultUpdateTimeout
	}
	return min(max(time.Duration(seconds)*time.Second, minRetryAfter), maxRetryAfter)
}

// ask asks the registry for its list.
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
	defer resp.Body.Close() // without reading the rest, which may be endless
	a, err := parseAnswer(resp)
	if err == nil && a.Since != 0 && a.Since != q.index {
		err = fmt.Errorf("what has changed since %d, and not %d", a.Since, q.index)
	}
	if err != nil {
		return answer{}, fmt.Errorf("registry %s: %w", s.name, err)
	}
	return a, nil
}

// where returns the URL of a question.
func (s *source) where(q question) (string, error) {
	if q.index == 0 {
		return s.url, nil
	}
	return registryapi.Watch{Index: q.index, Wait: q.wait, Changes: true}.URL(s.url)
}

// parseAnswer returns the list in a registry's response. GeeRPC's registry sends it
// in a header, ours in JSON.
func parseAnswer(resp *http.Response) (answer, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return answer{}, fmt.Errorf("status %.64s; %s", resp.Status, registryapi.PathHint)
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		err := error(&lostError{fmt.Errorf("status %.64s", resp.Status)})
		if after := resp.Header.Get("Retry-After"); after != "" {
			err = &overloadedError{err, retryAfter(after)}
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

// parseServers returns the servers in a list of addresses, without those that nobody
// could ever dial.
func parseServers(list string) []Endpoint {
	u := newUnion(0)
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); registryapi.Dialable(addr) {
			u.add(Endpoint{Addr: addr})
		}
	}
	return sorted(u.endpoints)
}
