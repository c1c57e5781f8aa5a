package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

const forJSON = "application/json"

// A listed is the list as a caller reads it.
type listed struct {
	Index   uint64       `json:"index"`
	Servers []ServerItem `json:"servers"`
}

// addrs returns the addresses with commas.
func (l listed) addrs() string {
	all := make([]string, len(l.Servers))
	for i, s := range l.Servers {
		all[i] = s.Addr
	}
	return strings.Join(all, ",")
}

// read reads an answer to a GET.
func read(t testing.TB, resp *http.Response) (l listed) {
	t.Helper()
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	if got := resp.Header.Get(registryapi.IndexHeader); got != strconv.FormatUint(l.Index, 10) {
		t.Errorf("the header says %q, the body %d", got, l.Index)
	}
	return l
}

// getList returns the list as JSON, at once.
func getList(t testing.TB, h http.Handler) listed {
	t.Helper()
	return read(t, request(h, http.MethodGet, registryapi.DefaultPath, "Accept", forJSON))
}

// watchList waits for another list.
func watchList(t testing.TB, h http.Handler, index uint64, wait string) listed {
	t.Helper()
	return read(t, request(h, http.MethodGet, fmt.Sprintf("%s?index=%d&wait=%s", registryapi.DefaultPath, index, wait), "Accept", forJSON))
}

func indexOf(r *GeeRegistry) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch.indexLocked()
}

func TestListAsJSON(t *testing.T) {
	r := New(time.Minute)
	empty := request(r, http.MethodGet, registryapi.DefaultPath+"?format=json")
	if l := read(t, empty); l.Servers == nil || l.Index == 0 {
		t.Errorf("the empty list is %+v", l)
	}
	request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@b:2", registryapi.VersionHeader, "1", registryapi.ServicesHeader, "Clock,Arith", registryapi.WeightHeader, "3", registryapi.MetadataHeader, "zone=b")
	ask(r, http.MethodPost, "tcp@a:1", "")
	resp := request(r, http.MethodGet, registryapi.DefaultPath, "Accept", forJSON)
	var v struct{ Servers []map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || len(v.Servers) != 2 {
		t.Fatal(v, err)
	}
	for i, want := range []string{
		"map[addr:tcp@a:1 last_beat:T legacy:true since:T ttl:6e+10 weight:1]",
		"map[addr:tcp@b:2 last_beat:T metadata:map[zone:b] services:[Arith Clock] since:T ttl:6e+10 weight:3]",
	} {
		for _, field := range []string{"since", "last_beat"} {
			if _, err := time.Parse(time.RFC3339, v.Servers[i][field].(string)); err != nil {
				t.Error(err)
			}
			v.Servers[i][field] = "T"
		}
		if got := fmt.Sprint(v.Servers[i]); got != want {
			t.Errorf("server %d is %s, want %s", i, got, want)
		}
	}
}

// TestWatch is a caller that watches through a day of a registry.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		r.Grace = -1
		put := func(addr, weight string) {
			request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, addr, registryapi.IntervalHeader, "20s", registryapi.VersionHeader, "1", registryapi.WeightHeader, weight)
		}
		index := getList(t, r).Index
		for _, c := range []struct {
			name   string
			change func()
			after  time.Duration // of the change
			took   time.Duration // most
			want   string
		}{
			{"registered", func() { put("tcp@a:1", "1") }, 5 * time.Second, 21 * time.Millisecond, "tcp@a:1"},
			{"beats and nothing else", func() { put("tcp@a:1", "1") }, 5 * time.Second, 25 * time.Second, "tcp@a:1"},
			{"another weight", func() { put("tcp@a:1", "2") }, 5 * time.Second, 21 * time.Millisecond, "tcp@a:1"},
			{"many in a moment are told of once", func() {
				for i := range 3 {
					put(fmt.Sprintf("tcp@n%02d:1", i), "1")
					time.Sleep(5 * time.Millisecond)
				}
			}, time.Second, 21 * time.Millisecond, "tcp@a:1,tcp@n00:1,tcp@n01:1,tcp@n02:1"},
			{"deregistered", func() { r.deregister("tcp@n01:1", "") }, time.Second, 21 * time.Millisecond, "tcp@a:1,tcp@n00:1,tcp@n02:1"},
			{"nobody there to deregister", func() {
				put("tcp@a:1", "2")
				put("tcp@n00:1", "1")
				put("tcp@n02:1", "1")
				r.deregister("tcp@n01:1", "")
			}, time.Second, 29 * time.Second, "tcp@a:1,tcp@n00:1,tcp@n02:1"},
			{"silent", func() {}, 0, 3 * time.Second, "tcp@a:1,tcp@n00:1,tcp@n02:1"},
			{"expired", func() {}, 0, 31 * time.Second, ""},
		} {
			changed := time.Now().Add(c.after)
			time.AfterFunc(c.after, c.change)
			wait := "30s"
			if c.want == "" {
				wait = "60s"
			}
			got := watchList(t, r, index, wait)
			if took := time.Since(changed); took > c.took || got.addrs() != c.want {
				t.Errorf("%s: told %q after %s, want %q after %s", c.name, got.addrs(), took, c.want, c.took)
			}
			if quiet := c.took > time.Second && c.name != "expired" && c.name != "silent"; quiet != (got.Index == index) {
				t.Errorf("%s: index %d, was %d", c.name, got.Index, index)
			}
			index = got.Index
		}
	})
}

// TestF58_WatchOverARestart: whatever index a caller has, a registry that has
// been restarted answers at once.
func TestF58_WatchOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := New(time.Minute)
		for i := range 1000 {
			ask(old, http.MethodPost, fmt.Sprint("tcp@a:", i), "")
		}
		index := getList(t, old).Index
		time.Sleep(time.Second) // it is restarted
		r := New(time.Minute)
		for _, index := range []uint64{index, 0, 1, 1<<64 - 1} {
			begin := time.Now()
			if got := watchList(t, r, index, "30s"); time.Since(begin) > 0 || len(got.Servers) != 0 {
				t.Errorf("index %d: after %s: %v", index, time.Since(begin), got)
			}
		}
	})
}

// TestWatchEnds: with its time, which is bounded, with the context, and there
// may be no more than so many.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(0)
		index := getList(t, r).Index
		for wait, want := range map[string]time.Duration{"0s": 0, "": 0, "1ms": time.Millisecond, "1000h": maxWait} {
			begin := time.Now()
			if watchList(t, r, index, wait); time.Since(begin) != want {
				t.Errorf("wait=%s took %s", wait, time.Since(begin))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("/?index=%d&wait=30s&format=json", index), nil)
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		w := httptest.NewRecorder()
		if r.ServeHTTP(w, req); time.Since(begin) != time.Second || w.Code != http.StatusServiceUnavailable {
			t.Errorf("the context ended after a second, the watch after %s with %d", time.Since(begin), w.Code)
		}
		r.watch.watchers = maxServers
		resp := request(r, http.MethodGet, fmt.Sprintf("/?index=%d&wait=30s&format=json", index))
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("one watch too many: %s", resp.Status)
		}
		r.watch.watchers--
		watchList(t, r, index, "1s")
		if r.watch.watchers != maxServers-1 {
			t.Errorf("%d watchers", r.watch.watchers)
		}
	})
}

func TestWatchBadQueries(t *testing.T) {
	for _, query := range []string{"index=x", "index=-1", "index=1&wait=x", "index=1&wait=-1s", "index=1&wait=5", "index=99999999999999999999"} {
		if resp := request(New(0), http.MethodGet, "/?format=json&"+query); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", query, resp.Status)
		}
	}
}

// TestWatchOverHTTP measures with a clock and a network how long a change takes
// to a caller, and that the http.Server's own limit doesn't cut a watch off.
func TestWatchOverHTTP(t *testing.T) {
	r := New(time.Minute)
	server := httptest.NewUnstartedServer(r)
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	index := getList(t, r).Index
	answers := make(chan listed, 1)
	go func() { // ends with the answer, which the test waits for
		resp, err := http.Get(fmt.Sprintf("%s/?format=json&index=%d&wait=30s", server.URL, index))
		if err != nil {
			t.Error(err)
			close(answers)
			return
		}
		defer resp.Body.Close()
		answers <- read(t, resp)
	}()
	for deadline := time.Now().Add(10 * time.Second); r.newSummary().Watchers == 0 && time.Now().Before(deadline); {
		<-time.After(time.Millisecond) // between two looks: the connection is real
	}
	<-time.After(2 * server.Config.WriteTimeout) // a real connection outlasts it
	begin := time.Now()
	ask(r, http.MethodPost, "tcp@a:1", "")
	got, ok := <-answers
	if took := time.Since(begin); !ok || got.addrs() != "tcp@a:1" || took > 10*time.Second {
		t.Errorf("told %q after %s", got.addrs(), took)
	}
}

// TestTimesOfBeats: a GET has them to the second, a watch doesn't end with them.
func TestTimesOfBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(0)
		for range 3 {
			ask(r, http.MethodPost, "tcp@a:1", "")
			time.Sleep(10 * time.Second)
			if ago := time.Since(getList(t, r).Servers[0].LastBeat); ago != 10*time.Second {
				t.Errorf("the last beat was %s ago", ago)
			}
		}
	})
}
