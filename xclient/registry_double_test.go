package xclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A wireRegistry speaks the registry's HTTP: JSON, and answers that are held
// back until something changes. It is an http.Handler, and an http.RoundTripper
// for bubbles, where there is no network.
type wireRegistry struct {
	mu      sync.Mutex // guards what follows
	index   uint64
	servers []Endpoint
	changed chan struct{}    // closed at the next change
	fault   http.HandlerFunc // answers instead, unless nil
	asked   int
	held    int // requests that wait for a change
}

func newWireRegistry(addrs ...string) *wireRegistry {
	r := &wireRegistry{changed: make(chan struct{})}
	r.restart(addrs...)
	return r
}

// restart has a new registry in its place, which knows of addrs.
func (r *wireRegistry) restart(addrs ...string) {
	r.change(func() {
		r.index += 2e6 // it began at the time in microseconds, and was up for 2 seconds
		r.servers, r.fault = addressed(addrs), nil
	})
}

// lists changes the list.
func (r *wireRegistry) lists(addrs ...string) { r.listsEndpoints(addressed(addrs)...) }

func (r *wireRegistry) listsEndpoints(endpoints ...Endpoint) {
	r.change(func() {
		r.index++
		r.servers = endpoints
	})
}

// fails has it answer by f from now on; nil: as it should. Those who wait get
// that too.
func (r *wireRegistry) fails(f http.HandlerFunc) { r.change(func() { r.fault = f }) }

func (r *wireRegistry) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *wireRegistry) times() (asked, held int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked, r.held
}

func (r *wireRegistry) watched() bool {
	_, held := r.times()
	return held > 0
}

// ServeHTTP implements http.Handler.
func (r *wireRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	if req.Header.Get("Accept") != "application/json" {
		http.Error(w, "who is asking?", http.StatusNotAcceptable)
		return
	}
	if q := req.URL.Query(); q.Has("index") {
		wait, err := time.ParseDuration(q.Get("wait"))
		if err != nil {
			http.Error(w, "bad wait", http.StatusBadRequest)
			return
		}
		r.hold(req.Context(), q.Get("index"), wait)
	}
	r.answer(w, req)
}

// hold waits until the index is another one.
func (r *wireRegistry) hold(ctx context.Context, index string, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil || strconv.FormatUint(r.index, 10) != index {
		return
	}
	changed := r.changed
	r.held++
	r.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	r.held--
}

func (r *wireRegistry) answer(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	fault := r.fault
	text, err := json.Marshal(map[string]any{"index": r.index, "servers": r.servers})
	r.mu.Unlock()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case fault != nil:
		fault(w, req)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	}
}

// RoundTrip implements http.RoundTripper.
func (r *wireRegistry) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	resp = w.Result()
	resp.Request = req
	return resp, nil
}

// The faults of registries.
var (
	faultDown = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	fault500  = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oh", http.StatusInternalServerError) }
	faultHang = func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	faultHTML = faultText("text/html; charset=utf-8", "<html><body>Welcome</body></html>")
)

// faultText answers with status 200 and a text.
func faultText(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, text)
	}
}

// registries is an http.RoundTripper to registries by host.
type registries map[string]*wireRegistry

// RoundTrip implements http.RoundTripper.
func (r registries) RoundTrip(req *http.Request) (*http.Response, error) {
	return r[req.URL.Host].RoundTrip(req)
}

// watching returns a GeeRegistryDiscovery of the registries a, and b if there
// is one, closed with the test.
func watching(t testing.TB, rs ...*wireRegistry) *GeeRegistryDiscovery {
	hosts := make(registries)
	var urls []string
	for i, r := range rs {
		host := string(rune('a' + i))
		hosts[host] = r
		urls = append(urls, "http://"+host+"/_geerpc_/registry")
	}
	d := NewGeeRegistryDiscovery(strings.Join(urls, ", "), 0)
	d.client.Transport = hosts
	t.Cleanup(func() { d.Close() })
	return d
}
