package xclient_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/registry"
	"geerpc/xclient"
)

// A handlerRegistry is a registry without a network, which may be replaced.
type handlerRegistry struct {
	atomic.Pointer[registry.GeeRegistry]
	cut atomic.Pointer[context.CancelFunc] // ends a request under way
}

// restart puts another registry in place of the one that was there.
func (h *handlerRegistry) restart() {
	h.Store(registry.New(registry.DefaultTimeout))
	if cut := h.cut.Load(); cut != nil {
		(*cut)()
	}
}

// RoundTrip implements http.RoundTripper.
func (h *handlerRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	h.cut.Store(&cancel)
	h.Load().ServeHTTP(w, req.WithContext(ctx))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

func (h *handlerRegistry) beat(addr string, headers ...string) {
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("X-Geerpc-Server", addr)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	h.Load().ServeHTTP(httptest.NewRecorder(), req)
}

// TestF215_RareBeats: a registry is restarted, and its servers beat every four
// minutes: those of GeeRPC's, which say no interval, and one of ours. Callers
// keep all of them until their beats have come, and one that is dead not for ever.
func TestF215_RareBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h handlerRegistry
		h.restart()
		beats := func() {
			h.beat("tcp@old:1")
			h.beat("tcp@ours:1", "X-Geerpc-Interval", "4m", "X-Geerpc-Version", "1")
		}
		beats()
		h.beat("tcp@dead:1")
		d := xclient.NewGeeRegistryDiscovery("http://registry/", 0)
		d.Client = &http.Client{Transport: &h}
		defer d.Close()
		all := []string{"tcp@dead:1", "tcp@old:1", "tcp@ours:1"}
		wantListed(t, d, all...)
		time.Sleep(time.Second)
		h.restart()
		h.beat("tcp@new:1", "X-Geerpc-Interval", "10s")
		all = append(all[:1:1], "tcp@new:1", "tcp@old:1", "tcp@ours:1")
		for range 230 {
			time.Sleep(time.Second)
			h.beat("tcp@new:1", "X-Geerpc-Interval", "10s")
			if got, err := d.GetAll(); err != nil || !slices.Equal(got, all) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		beats()
		for range 90 {
			time.Sleep(time.Second)
			h.beat("tcp@new:1", "X-Geerpc-Interval", "10s")
			d.GetAll()
		}
		wantListed(t, d, all[1:]...)
	})
}

// TestF220_SilentIsTold: callers are told which servers have missed their beats.
func TestF220_SilentIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h handlerRegistry
		h.restart()
		d := xclient.NewGeeRegistryDiscovery("http://registry/", 0)
		d.Client = &http.Client{Transport: &h}
		defer d.Close()
		h.beat("tcp@dead:1", "X-Geerpc-Interval", "10s")
		for range 20 {
			h.beat("tcp@well:1", "X-Geerpc-Interval", "10s")
			time.Sleep(time.Second)
			d.GetAll()
		}
		l, err := d.List(t.Context())
		if err != nil || len(l.Endpoints) != 2 || !l.Endpoints[0].Silent || l.Endpoints[1].Silent || l.Endpoints[0].TTL != 30*time.Second {
			t.Errorf("%+v, %v", l, err)
		}
	})
}
