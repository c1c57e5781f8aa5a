package registry

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

// body counts how many response bodies are open.
type body struct {
	io.Reader
	open *atomic.Int64
}

func (b *body) Close() error {
	b.open.Add(-1)
	return nil
}

func TestHeartbeatOverHTTP(t *testing.T) {
	r := New(time.Minute)
	var open atomic.Int64
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	server.Start()
	defer server.Close()
	reg := Heartbeat(server.URL+"/any/path", "tcp@a:1", time.Hour)
	defer reg.Close()
	if reg.Err() != nil || list(r) != "tcp@a:1" {
		t.Fatalf("after Heartbeat has returned: %v, list %q", reg.Err(), list(r))
	}
	eventually(t, "the connection is closed between beats", func() bool { return open.Load() == 0 })
	if err := reg.Close(); err != nil || list(r) != "" {
		t.Fatalf("A25, after Close: %v, list %q", err, list(r))
	}
}

func TestBeatsAreJitteredAndAnnounced(t *testing.T) {
	for _, c := range []struct {
		name           string
		interval, want time.Duration
	}{
		{"default", 0, 10 * time.Second},
		{"negative", -1, 10 * time.Second},
		{"4 min", 4 * time.Minute, 4 * time.Minute},
		{"1 s", time.Second, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{handler: New(time.Minute), fault: func(_ int, req *http.Request) (*http.Response, error) {
					if got := req.Header.Get(registryapi.IntervalHeader); got != c.want.String() {
						t.Errorf("announced is %q, want %s", got, c.want)
					}
					return nil, nil
				}}
				reg := heartbeat(w.client(), "http://registry", "tcp@a:1", c.interval)
				time.Sleep(50 * c.want)
				reg.Close()
				times, seen := w.sent(), make(map[time.Duration]bool)
				times = times[:len(times)-1] // the last one deregisters
				if len(times) < 45 {
					t.Fatalf("%d beats in 50 intervals", len(times))
				}
				for i := range times[1:] {
					pause := times[i+1].Sub(times[i])
					seen[pause] = true
					if pause < c.want-c.want/10 || pause > c.want+c.want/10 {
						t.Errorf("a pause of %s", pause)
					}
				}
				if len(seen) < 10 {
					t.Errorf("only %d different pauses", len(seen))
				}
			})
		})
	}
}

// TestA23_RegistryDownForAWhile, and F58, a registry that has forgotten all.
func TestA23_RegistryDownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		w := &wire{handler: New(time.Minute), fault: func(int, *http.Request) (*http.Response, error) {
			if down.Load() {
				return nil, errors.New("connection refused")
			}
			return nil, nil
		}}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 0)
		defer reg.Close()
		for range 3 {
			time.Sleep(24 * time.Hour)
			if reg.Err() == nil || !strings.Contains(reg.Err().Error(), "connection refused") {
				t.Fatalf("the error is %v", reg.Err())
			}
			down.Store(false)
			time.Sleep(11 * time.Second) // an interval and its tenth
			if reg.Err() != nil || list(w.handler) != "tcp@a:1" {
				t.Fatalf("not back: %v, list %q", reg.Err(), list(w.handler))
			}
			down.Store(true)
		}
		down.Store(false)
	})
}

// TestA24_Heartbeat: whatever answers, or doesn't, the error says so, the body
// is closed, and the beats go on.
func TestA24_Heartbeat(t *testing.T) {
	answer := func(status int, text string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Request: req,
				Header: http.Header{"Location": {"/"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
		}
	}
	for _, c := range []struct {
		name, url string
		answer    func(*http.Request) (*http.Response, error)
		want      string
	}{
		{"status", "http://user:passw0rd@registry", answer(500, "out of memory"), "out of memory"},
		{"huge body", "http://registry", answer(400, strings.Repeat("x", 1<<20)), "xxx"},
		{"redirected to a GET", "http://registry", func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet {
				return answer(http.StatusFound, "")(req)
			}
			return answer(http.StatusOK, "")(req)
		}, "GET"},
		{"hangs", "http://registry", func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}, "deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var open atomic.Int64
				w := &wire{fault: func(_ int, req *http.Request) (*http.Response, error) {
					resp, err := c.answer(req)
					if resp != nil {
						open.Add(1)
						resp.Body = &body{resp.Body, &open}
					}
					return resp, err
				}}
				begin := time.Now()
				reg := heartbeat(w.client(), c.url, "tcp@a:1", 0)
				if took := time.Since(begin); took > beatLimit {
					t.Errorf("Heartbeat took %s", took)
				}
				time.Sleep(time.Minute)
				if err := reg.Err(); err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
					t.Errorf("error is %.1000v, want %q in it", err, c.want)
				}
				if strings.Contains(fmt.Sprint(reg.Err()), "passw0rd") {
					t.Errorf("the password is in the error: %v", reg.Err())
				}
				if n := len(w.sent()); n < 5 {
					t.Errorf("%d beats in a minute", n)
				}
				if err := reg.Close(); err == nil {
					t.Error("Close says that it has deregistered")
				}
				if n := open.Load(); n != 0 {
					t.Errorf("%d bodies are left open", n)
				}
			})
		})
	}
}

// TestA25_Close: nothing comes after it, not even the beat that was on its way
// when Close was called.
func TestA25_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{handler: New(time.Minute)}
		w.fault = func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				time.Sleep(3 * time.Second) // the second beat is slow
			}
			return nil, nil
		}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 10*time.Second)
		for len(w.sent()) < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		for range 2 {
			if err := reg.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if got := list(w.handler); got != "" {
			t.Errorf("after Close: %q", got)
		}
		sent := len(w.sent())
		time.Sleep(5 * time.Second) // less than a beat would keep it
		if got := list(w.handler); got != "" {
			t.Errorf("the beat under way came after Close: %q", got)
		}
		time.Sleep(time.Hour)
		if n := len(w.sent()); n != sent || list(w.handler) != "" {
			t.Errorf("%d more requests after Close, list %q", n-sent, list(w.handler))
		}
	})
}

// TestA26_LostBeat loses every second beat, by an error or in the most
// expensive way, by hanging; the server must never be missing.
func TestA26_LostBeat(t *testing.T) {
	for _, c := range []struct {
		interval time.Duration
		hang     bool
	}{{0, false}, {0, true}, {3 * time.Second, true}} { // the last may hang for a whole interval
		synctest.Test(t, func(t *testing.T) {
			w := &wire{handler: New(time.Minute), fault: func(n int, req *http.Request) (*http.Response, error) {
				if n%2 == 0 || req.Method != http.MethodPost {
					return nil, nil
				}
				if c.hang {
					<-req.Context().Done()
				}
				return nil, errors.New("lost")
			}}
			reg := heartbeat(w.client(), "http://registry", "tcp@a:1", c.interval)
			defer reg.Close()
			for begin := time.Now(); time.Since(begin) < time.Hour; time.Sleep(time.Second / 3) {
				if list(w.handler) != "tcp@a:1" {
					t.Fatalf("%+v: missing after %s", c, time.Since(begin))
				}
			}
		})
	}
}

// TestF63_ServerDiesWithoutAWord by losing all beats.
func TestF63_ServerDiesWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{handler: New(time.Minute)}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 0)
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.fault = func(int, *http.Request) (*http.Response, error) { return nil, errors.New("lost") }
		w.mu.Unlock()
		time.Sleep(3*DefaultInterval + sweepInterval)
		if list(w.handler) != "" {
			t.Error("still in the list")
		}
		reg.Close()
	})
}

// TestOldRegistry: GeeRPC's knows neither DELETE nor intervals.
func TestOldRegistry(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != "POST" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		got.Store(req.Header.Get("X-Geerpc-Server"))
	}))
	defer server.Close()
	reg := Heartbeat(server.URL, "tcp@a:1", 0)
	if reg.Err() != nil || got.Load() != "tcp@a:1" {
		t.Errorf("registered %v, %v", got.Load(), reg.Err())
	}
	if err := reg.Close(); err == nil || !strings.Contains(err.Error(), "405") && !strings.Contains(err.Error(), "Not Allowed") {
		t.Errorf("Close: %v", err)
	}
}

// TestWrongPath: what is not a registry is told from one that refuses.
func TestWrongPath(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {}) // as of geerpc registry
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, status := range map[string]string{"": "405 Method Not Allowed", "/x": "404 Not Found"} {
		reg := Heartbeat(server.URL+path, "tcp@a:1", 0)
		if err := reg.Err(); err == nil || !strings.HasSuffix(err.Error(), status+": is the path /_geerpc_/registry?") {
			t.Errorf("%q: %v", path, err)
		}
		reg.Close()
	}
}

// TestIntervalWithoutUnit: 10 nanoseconds, where 10 seconds are meant, are
// refused. A program of GeeRPC's beats once a second, and is told.
func TestIntervalWithoutUnit(t *testing.T) {
	for _, interval := range []time.Duration{1, 10, time.Second - 1} {
		synctest.Test(t, func(t *testing.T) {
			w := &wire{handler: New(time.Minute)}
			c := Config{Registries: []string{"http://registry"}, Addr: "tcp@a:1", Interval: interval, Client: w.client()}
			wrong := func(who string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), "Config.Interval is "+interval.String()) || !strings.Contains(err.Error(), "10 * time.Second") {
					t.Errorf("%s: %v", who, err)
				}
			}
			wrong("Serve", Serve(geerpc.NewServer(), &listener{closed: make(chan struct{})}, c))
			reg := Register(c)
			wrong("Register", reg.Err())
			wrong("Close", reg.Close())
			if n := len(w.sent()); n != 0 {
				t.Errorf("%d requests were made", n)
			}
			onDefaultClient(t, w)
			reg = Heartbeat("http://registry", "tcp@a:1", interval)
			wrong("Heartbeat", reg.Err())
			if got := list(w.handler); got != "tcp@a:1" {
				t.Errorf("the list is %q after Heartbeat", got)
			}
			time.Sleep(time.Minute)
			if n := len(w.sent()); n < 50 || n > 70 {
				t.Errorf("%d beats in a minute", n)
			}
			if err := reg.Close(); err != nil || list(w.handler) != "" {
				t.Errorf("Close: %v, list %q", err, list(w.handler))
			}
		})
	}
}

// onDefaultClient has requests that name no client go over the wire until the
// end of the test.
func onDefaultClient(t *testing.T, w *wire) {
	before := http.DefaultTransport
	http.DefaultTransport = w
	t.Cleanup(func() { http.DefaultTransport = before })
}

// TestD2204_Jitter: an interval without end doesn't become none at all.
func TestD2204_Jitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{handler: New(0)}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 1<<63-1)
		defer reg.Close()
		time.Sleep(24 * 365 * time.Hour)
		if n := len(w.sent()); n != 1 {
			t.Errorf("%d beats in a year", n)
		}
	})
}
