package registry

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"geerpc/internal/leak"
	"geerpc/internal/registryapi"
)

func TestMain(m *testing.M) { leak.Main(m) }

// request makes a request of a registry, without a network. The headers are
// pairs of a name and a value, which may be "" for none.
func request(h http.Handler, method, target string, headers ...string) *http.Response {
	req := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

// ask makes a request about a server.
func ask(h http.Handler, method, addr, interval string) *http.Response {
	return request(h, method, registryapi.DefaultPath, registryapi.ServerHeader, addr, registryapi.IntervalHeader, interval)
}

// list returns what a registry tells.
func list(h http.Handler) string {
	return ask(h, http.MethodGet, "", "").Header.Get(registryapi.ServersHeader)
}

// heartbeat is Heartbeat over a client of choice.
func heartbeat(client *http.Client, url, addr string, interval time.Duration) *Registration {
	return Register(Config{Registries: []string{url}, Addr: addr, Interval: interval, Client: client})
}

// A wire is an http.RoundTripper that hands requests to a handler in the same
// goroutine, so that time in a synctest bubble goes on. It notes the time of
// each request, and may treat it otherwise.
type wire struct {
	handler http.Handler

	mu    sync.Mutex // guards what follows
	times []time.Time
	fault func(n int, req *http.Request) (*http.Response, error) // nil response and error: no fault
}

// client returns a client on the wire.
func (w *wire) client() *http.Client { return &http.Client{Transport: w} }

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.times = append(w.times, time.Now())
	n, fault := len(w.times)-1, w.fault
	w.mu.Unlock()
	if fault != nil {
		if resp, err := fault(n, req); resp != nil || err != nil {
			return resp, err
		}
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, req)
	resp := recorder.Result()
	resp.Request = req
	return resp, nil
}

func (w *wire) sent() []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.times...)
}
