package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"geerpc/internal/registryapi"
)

// benchServers is how many are registered: the registry is made for 10,000,
// which are 1,000 beats a second.
const benchServers = 10_000

// filled returns a registry with servers, and the requests that they beat by.
func filled(b *testing.B) (*GeeRegistry, []*http.Request) {
	b.Helper()
	r := New(time.Hour)
	beats := make([]*http.Request, benchServers)
	for i := range beats {
		c := Config{
			Addr:     fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250),
			Services: []string{"Accounts", "Arith", "Clock"},
			Metadata: map[string]string{"zone": "b", "build": "20260101"},
		}.withDefaults()
		h, err := c.header()
		if err != nil {
			b.Fatal(err)
		}
		beats[i] = httptest.NewRequest(http.MethodPost, registryapi.DefaultPath, nil)
		beats[i].Header = h
		r.ServeHTTP(httptest.NewRecorder(), beats[i])
	}
	if n := len(r.Servers()); n != benchServers {
		b.Fatalf("%d servers", n)
	}
	return r, beats
}

// BenchmarkBeats is about the beats of 10,000 servers on one core: what the
// registry does, and all of it with HTTP over loopback, a connection for each beat, as
// our servers do it. Both the client's and the server's work count there.
func BenchmarkBeats(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, beats := filled(b)
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			r.ServeHTTP(httptest.NewRecorder(), beats[i%benchServers])
			i++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "beats/s")
	})
	b.Run("http", func(b *testing.B) {
		server := httptest.NewServer(r)
		defer server.Close()
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			req, _ := http.NewRequest(http.MethodPost, server.URL, nil)
			req.Header, req.Close = beats[i%benchServers].Header, true
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
			i++
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "beats/s")
	})
}

// BenchmarkSweep is the work of each second.
func BenchmarkSweep(b *testing.B) {
	r, _ := filled(b)
	for b.Loop() {
		r.mu.Lock()
		r.sweepLocked(time.Now())
		r.mu.Unlock()
	}
}

// BenchmarkList is a list of 10,000 made anew, as it is after a change.
func BenchmarkList(b *testing.B) {
	r, _ := filled(b)
	size := 0
	for b.Loop() {
		size = len(newCachedList(r.snapshot()).object)
	}
	b.ReportMetric(float64(size)/1024, "KiB")
}

// BenchmarkWatch is one change told to 1,000 watchers, who read it and watch
// again. 20 ms of it is the time for which changes are collected.
func BenchmarkWatch(b *testing.B) {
	for _, servers := range []int{10, 1000} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) {
			r := New(0)
			for i := range servers {
				ask(r, http.MethodPost, fmt.Sprintf("tcp@10.0.0.1:%d", i), "")
			}
			const watchers = 1000
			heard := make(chan uint64, watchers)
			var wg sync.WaitGroup
			stop := make(chan struct{})
			index := watchList(b, r, 0, "30s").Index
			for range watchers {
				wg.Go(func() { // until stop is closed and the list has changed once more
					for at := index; ; {
						at = watchAgain(r, at)
						select {
						case <-stop:
							return
						default:
							heard <- at // has room for all
						}
					}
				})
			}
			weight := 1
			change := func() {
				weight = 3 - weight
				request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@changing:1", registryapi.WeightHeader, fmt.Sprint(weight))
			}
			for b.Loop() {
				change()
				for range watchers {
					<-heard
				}
			}
			close(stop)
			change()
			wg.Wait()
		})
	}
}

// watchAgain waits for another list than that of index, and returns its own.
func watchAgain(r *GeeRegistry, index uint64) uint64 {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/?format=json&wait=60s&index=%d", index), nil))
	fmt.Sscan(w.Header().Get(registryapi.IndexHeader), &index)
	return index
}
