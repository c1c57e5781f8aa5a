package xclient

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/registry"
)

// TestF217_AlwaysChanging: 200 callers at a registry whose list changes ten
// times a second ask it twice a second each, and spread over time.
func TestF217_AlwaysChanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		const callers = 200
		for range callers {
			all(watching(t, r))
		}
		most, before := 0, 0
		begin := time.Now()
		for i := range 300 {
			r.lists(fmt.Sprintf("tcp@s%d:1", i))
			time.Sleep(100 * time.Millisecond)
			if asked, _ := r.times(); time.Since(begin) > 10*time.Second {
				most = max(most, asked-before)
				before = asked
			} else {
				before = asked
			}
		}
		asked, _ := r.times()
		t.Logf("asked %d times in 30 s, and %d times in the worst 100 ms later on", asked, most)
		if asked > callers*(quickBurst+2*30+5) || most > callers/2 {
			t.Errorf("asked %d times, %d in 100 ms", asked, most)
		}
	})
}

// TestF217_Changes: whatever comes and goes, a caller that is told changes has
// the list that the registry has.
func TestF217_Changes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := registry.New(0)
		var whole, changes int
		d := NewGeeRegistryDiscovery("http://registry/", 0)
		d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if index := req.URL.Query().Get("index"); index != "" && strings.Contains(w.Body.String(), `"since":`+index) {
				changes++
			} else if w.Code == http.StatusOK { // else it is Close that has ended the watch
				whole++
			}
			resp := w.Result()
			resp.Request = req
			return resp, nil
		})
		defer d.Close()
		post := func(method string, n, weight int) {
			req := httptest.NewRequest(method, "/", nil)
			req.Header.Set("X-Geerpc-Server", fmt.Sprintf("tcp@s%03d:1", n))
			req.Header.Set("X-Geerpc-Weight", fmt.Sprint(weight))
			r.ServeHTTP(httptest.NewRecorder(), req)
		}
		for n := range 100 {
			post(http.MethodPost, 2*n, 1)
		}
		for step := range 500 {
			switch n := step * 7919 % 230; step % 3 {
			case 0:
				post(http.MethodDelete, n, 0)
			default:
				post(http.MethodPost, n, step%5+1)
				post(http.MethodPost, n/2, step%3+1)
			}
			time.Sleep(700 * time.Millisecond)
			l, err := d.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := r.Servers()
			if len(l.Endpoints) != len(want) {
				t.Fatalf("step %d: %d servers, want %d", step, len(l.Endpoints), len(want))
			}
			for i, e := range l.Endpoints {
				if e.Addr != want[i].Addr || e.Weight != want[i].Weight {
					t.Fatalf("step %d: %v, want %v", step, e, want[i])
				}
			}
		}
		d.Close()
		if whole != 1 || changes < 400 {
			t.Errorf("the whole list was told %d times, changes %d times", whole, changes)
		}
	})
}

// TestF217_ForeignChanges: what follows from another list than ours is no
// answer, and the next one is asked for as a whole.
func TestF217_ForeignChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewGeeRegistryDiscovery("http://registry/", 0)
		d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			body := `{"index":9,"servers":[{"addr":"tcp@a:1"}]}`
			if req.URL.Query().Has("index") {
				body = `{"index":10,"since":8,"gone":["tcp@a:1"],"servers":[]}`
			}
			resp := response(http.StatusOK, http.Header{"Content-Type": {"application/json"}})
			resp.Body = io.NopCloser(strings.NewReader(body))
			return resp, nil
		})
		defer d.Close()
		for range 60 {
			wantListAtOnce(t, d, "tcp@a:1")
			time.Sleep(time.Second)
		}
	})
}

// TestF2203_ProxyThatCuts: a proxy ends requests after 15 seconds, in one way or
// another. Changes are heard at once all the same, the list is confirmed, and it
// is logged once.
func TestF2203_ProxyThatCuts(t *testing.T) {
	for name, cut := range map[string]func() (*http.Response, error){
		"cut": func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"504": func() (*http.Response, error) {
			resp := response(http.StatusGatewayTimeout, nil)
			resp.Body = http.NoBody
			return resp, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const limit = 15 * time.Second
				r := newWireRegistry("tcp@a:1")
				d := watching(t, r)
				var log strings.Builder
				d.Logger = slog.New(slog.NewTextHandler(&log, nil))
				direct := d.client.Transport
				d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
					if wait, _ := time.ParseDuration(req.URL.Query().Get("wait")); wait < limit {
						return direct.RoundTrip(req)
					}
					ctx, cancel := context.WithTimeout(req.Context(), limit)
					defer cancel()
					resp, err := direct.RoundTrip(req.WithContext(ctx))
					if ctx.Err() != nil {
						return cut()
					}
					return resp, err
				})
				all(d)
				for i := range 50 {
					time.Sleep(time.Minute/2 + time.Duration(i)*time.Second/3)
					want := fmt.Sprintf("tcp@s%d:1", i)
					r.lists(want)
					time.Sleep(2 * watchGap)
					wantListAtOnce(t, d, want)
					if age := d.Age(); age > time.Second {
						t.Errorf("the list is %s old", age)
					}
				}
				d.Close()
				if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "cuts off watches") {
					t.Errorf("the log has %d lines:\n%s", n, &log)
				}
			})
		})
	}
}

// TestF2201_NameMoves: the name of a registry leads to another process, while the
// old one lives on and keeps its connections. Beats go to the new one. Callers
// follow when the old list has shrunk to nobody, or a minute later at the latest,
// and have all servers all the time.
func TestF2201_NameMoves(t *testing.T) {
	old, next := newWireRegistry("tcp@a:1", "tcp@b:1"), newWireRegistry("tcp@a:1", "tcp@b:1", "tcp@new:1")
	next.restart("tcp@a:1", "tcp@b:1", "tcp@new:1")
	oldServer, nextServer := httptest.NewServer(old), httptest.NewServer(next)
	defer oldServer.Close()
	defer nextServer.Close()
	var at atomic.Pointer[string]
	lead := func(s *httptest.Server) { addr := s.Listener.Addr().String(); at.Store(&addr) }
	lead(oldServer)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, *at.Load())
	}}
	defer transport.CloseIdleConnections()
	d := NewGeeRegistryDiscovery("http://registry/", 0)
	d.Client = &http.Client{Transport: transport} // somebody else's, whose idle connections we must not close
	defer d.Close()
	if got := all(d); got != "tcp@a:1,tcp@b:1" {
		t.Fatal(got)
	}
	eventually(t, "the old one is watched", old.watched)
	lead(nextServer)
	old.lists("tcp@a:1")
	eventually(t, "one has expired", func() bool { return all(d) == "tcp@a:1" })
	eventually(t, "the old one is watched again", old.watched)
	old.lists()
	eventually(t, "the new one is asked", func() bool { return all(d) == "tcp@a:1,tcp@b:1,tcp@new:1" })
}

// TestF2201_EverySoOften a question is the last one on its connection.
func TestF2201_EverySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		direct, asked, last := d.client.Transport, 0, time.Now()
		d.client.Transport = roundTripper(func(req *http.Request) (*http.Response, error) {
			asked++
			if req.Close {
				if age := time.Since(last); age < renewAfter || age > renewAfter+watchWait+time.Second {
					t.Errorf("a new connection after %s", age)
				}
				last = time.Now()
			}
			return direct.RoundTrip(req)
		})
		for range 3600 {
			all(d)
			time.Sleep(time.Second)
		}
		d.Close()
		if age := time.Since(last); age > renewAfter+watchWait || asked > 130 {
			t.Errorf("the connection is %s old, and %d questions were asked", age, asked)
		}
	})
}

// BenchmarkListChanges is what a change of one of 16,384 servers costs an idle
// caller.
func BenchmarkListChanges(b *testing.B) {
	r := registry.New(0)
	post := func(i, weight int) {
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		req.Header.Set("X-Geerpc-Server", fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250))
		req.Header.Set("X-Geerpc-Weight", fmt.Sprint(weight))
		req.Header.Set("X-Geerpc-Services", "Accounts,Arith,Clock")
		req.Header.Set("X-Geerpc-Metadata", "zone=b&build=20260101")
		r.ServeHTTP(httptest.NewRecorder(), req)
	}
	for i := range 16384 {
		post(i, 1)
	}
	for _, name := range []string{"list", "changes"} {
		b.Run(name, func(b *testing.B) {
			d := NewGeeRegistryDiscovery("http://registry/", 0)
			s := d.sources[0]
			client := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
				b.StopTimer()
				defer b.StartTimer()
				w := httptest.NewRecorder()
				r.ServeHTTP(w, req)
				resp := w.Result()
				resp.Request = req
				return resp, nil
			})}
			ask := func(index uint64) {
				a, err := s.ask(b.Context(), client, question{index: index})
				if err != nil {
					b.Fatal(err)
				}
				d.state.Lock()
				s.take(a, time.Now())
				d.mergeLocked(time.Now())
				d.state.Unlock()
			}
			ask(0)
			for i := 0; i < b.N; i++ {
				post(i%16384, i%7+2)
				if name == "list" {
					ask(0)
				} else {
					ask(s.index)
				}
			}
		})
	}
}
