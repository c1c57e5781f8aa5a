package xclient

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/registry"
)

// handled returns what a handler answers.
func handled(h http.Handler, req *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp
}

// beatOnce registers a server.
func beatOnce(h http.Handler, addr string) {
	req := httptest.NewRequest(http.MethodPost, "/", nil)
	req.Header.Set("X-Geerpc-Server", addr)
	h.ServeHTTP(httptest.NewRecorder(), req)
}

// TestF2203_WaitGrowsAgain: what has cut two watches off once, or kept the
// registry from being reached, makes those after it short for minutes, and not
// for ever.
func TestF2203_WaitGrowsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		most int // watches in an hour
	}{
		"cut":  {errors.New("reset"), 150},
		"dial": {&net.OpError{Op: "dial", Err: errors.New("no route to host")}, 125},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := registry.New(0)
				beatOnce(r, "tcp@a:1")
				watches, lastWait := 0, ""
				d := NewGeeRegistryDiscovery("http://a/", 0)
				d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
					if wait := req.URL.Query().Get("wait"); wait != "" && wait != "0s" {
						lastWait = wait
						if watches++; watches == 2 || watches == 3 {
							time.Sleep(1200 * time.Millisecond)
							return nil, c.err
						}
					}
					return handled(r, req), nil
				})
				defer d.Close()
				for range 3600 {
					all(d)
					time.Sleep(time.Second)
				}
				d.Close()
				if watches > c.most || lastWait != watchWait.String() {
					t.Errorf("%d watches in an hour, the last with wait=%s", watches, lastWait)
				}
			})
		})
	}
}

// TestF58_StoppedInOrder: a registry that is told to stop ends its watches, and
// another one is there a second later. Its callers hear of a new server as soon
// as they would after a crash, whatever their timeout; also if it answers as one
// of ours did once, with the list as it was.
func TestF58_StoppedInOrder(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1} {
		for _, old := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex // guards what follows
				r := registry.New(0)
				up, stop := context.WithCancel(t.Context())
				beatOnce(r, "tcp@a:1")
				d := NewGeeRegistryDiscovery("http://a/", timeout)
				d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					h, base := r, up
					mu.Unlock()
					if base.Err() != nil {
						return nil, errors.New("connection refused")
					}
					ctx, cancel := context.WithCancel(req.Context())
					defer cancel()
					defer context.AfterFunc(base, cancel)()
					resp := handled(h, req.WithContext(ctx))
					if old && base.Err() != nil {
						resp = handled(h, httptest.NewRequest(http.MethodGet, "/?format=json", nil))
					}
					return resp, nil
				})
				defer d.Close()
				all(d)
				time.Sleep(5 * time.Second)
				all(d)
				stop()
				time.Sleep(time.Second)
				mu.Lock()
				r = registry.New(0)
				up, stop = context.WithCancel(t.Context())
				mu.Unlock()
				defer stop()
				beatOnce(r, "tcp@a:1")
				beatOnce(r, "tcp@b:1")
				time.Sleep(2 * time.Second)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:1")
			})
		}
	}
}

// TestF217_TooManyWatches: a registry that takes no further watch says when to
// ask again. Its caller has the changes by then, the whole list once, and hears
// of it in one line of the log.
func TestF217_TooManyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(0)
		r.MaxWatches = 1
		beatOnce(r, "tcp@a:1")
		var log strings.Builder
		var watched atomic.Bool // by the first: the other one must not take its place between two watches
		full, asked := 0, 0
		open := func(logger *slog.Logger) *GeeRegistryDiscovery {
			d := NewGeeRegistryDiscovery("http://a/", 0)
			d.Logger = logger
			d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
				if logger == nil {
					watched.Store(true)
					defer watched.Store(false)
					return handled(r, req), nil
				}
				asked++
				if req.URL.Query().Get("index") == "" {
					full++
				}
				for !watched.Load() {
					time.Sleep(time.Millisecond) // in the bubble
				}
				time.Sleep(time.Microsecond) // until the first is in
				return handled(r, req), nil
			})
			all(d)
			return d
		}
		first := open(nil)
		defer first.Close()
		time.Sleep(time.Second)
		d := open(slog.New(slog.NewTextHandler(&log, nil)))
		defer d.Close()
		for range 600 {
			all(first)
			all(d)
			if age := d.Age(); age > 13*time.Second {
				t.Fatalf("the list is %s old", age)
			}
			time.Sleep(time.Second)
		}
		beatOnce(r, "tcp@b:1")
		time.Sleep(13 * time.Second)
		wantListAtOnce(t, d, "tcp@a:1,tcp@b:1")
		d.Close()
		if n := strings.Count(log.String(), "\n"); n != 1 || full != 1 || asked > 140 {
			t.Errorf("%d lines, the whole list %d times, %d questions:\n%s", n, full, asked, &log)
		}
	})
}
