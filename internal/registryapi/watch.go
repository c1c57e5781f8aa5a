package registryapi

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// A Watch is a question that is answered when the list is not that of Index any
// more.
type Watch struct {
	Index   uint64        // of the list that the reader has; 0: it has none
	Wait    time.Duration // how long the answer is held back, at most
	Changes bool          // what has changed since Index is enough
}

// URL returns the URL of a registry with the Watch in its query.
func (w Watch) URL(registry string) (string, error) {
	u, err := url.Parse(registry)
	if err != nil {
		return "", err
	}
	query := u.Query()
	query.Set("index", strconv.FormatUint(w.Index, 10))
	query.Set("wait", w.Wait.String())
	if w.Changes {
		query.Set("changes", "1")
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// ParseWatch returns the Watch in a query; the zero Watch if there is none.
func ParseWatch(query url.Values) (Watch, error) {
	if !query.Has("index") {
		return Watch{}, nil
	}
	index, err := strconv.ParseUint(query.Get("index"), 10, 64)
	if err != nil {
		return Watch{}, fmt.Errorf("index %.64q is not a number", query.Get("index"))
	}
	w := Watch{Index: index, Changes: query.Get("changes") != ""}
	if text := query.Get("wait"); text != "" {
		if w.Wait, err = time.ParseDuration(text); err != nil || w.Wait < 0 {
			return Watch{}, fmt.Errorf("wait %.64q is not a duration", text)
		}
	}
	return w, nil
}
