package registry

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A web has a registry at each host, and takes a host off the network.
type web struct {
	hosts map[string]http.Handler
	down  atomic.Value // the host that hangs, a string
}

// A restarted registry is another one than before, at the same place.
type restarted struct{ atomic.Pointer[GeeRegistry] }

func (r *restarted) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.Load().ServeHTTP(w, req) }

// client returns a client on the web.
func (w *web) client() *http.Client {
	return &http.Client{Transport: &wire{fault: func(_ int, req *http.Request) (*http.Response, error) {
		if req.URL.Host == w.down.Load() {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		return (&wire{handler: w.hosts[req.URL.Host]}).RoundTrip(req)
	}}}
}

// TestF61_SeveralRegistries: each is told everything, and one that hangs costs
// the others nothing. It is told when it is back. It is the same whether they
// have an entry each or share one.
func TestF61_SeveralRegistries(t *testing.T) {
	for name, registries := range map[string][]string{
		"an entry each": {"http://one", "http://user:passw0rd@two"},
		"one entry":     {"http://one, http://user:passw0rd@two"},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testSeveralRegistries(t, registries) }) })
	}
}

func testSeveralRegistries(t *testing.T, registries []string) {
	one, two := New(time.Minute), New(time.Minute)
	w := &web{hosts: map[string]http.Handler{"one": one, "two": two}}
	w.down.Store("two")
	var logged bytes.Buffer
	begin := time.Now()
	reg := Register(Config{
		Registries: registries,
		Addr:       "tcp@a:1",
		Client:     w.client(),
		Logger:     slog.New(slog.NewTextHandler(&logged, nil)),
	})
	if took := time.Since(begin); took != beatLimit {
		t.Errorf("Register waited %s for the first beats", took)
	}
	if list(one) != "tcp@a:1" || list(two) != "" || reg.Err() == nil {
		t.Errorf("one has %q, two has %q, error %v", list(one), list(two), reg.Err())
	}
	for range 60 {
		time.Sleep(time.Second)
		if list(one) != "tcp@a:1" {
			t.Fatal("not in the list of the registry that works")
		}
	}
	w.down.Store("")
	time.Sleep(16 * time.Second)
	if list(two) != "tcp@a:1" || reg.Err() != nil {
		t.Errorf("two has %q, error %v", list(two), reg.Err())
	}
	w.down.Store("one")
	if err := reg.Close(); err == nil || !strings.Contains(err.Error(), "one") || strings.Contains(err.Error(), "two") {
		t.Errorf("Close: %v", err)
	}
	if list(two) != "" {
		t.Error("still in the list of the registry that works")
	}
	for _, want := range []string{"a beat failed", "beats arrive again", "not deregistered"} {
		if n := strings.Count(logged.String(), want); n != 1 {
			t.Errorf("the log says %d times %q, want once", n, want)
		}
	}
	if strings.Contains(logged.String(), "passw0rd") {
		t.Error("the log has the password")
	}
	time.Sleep(time.Minute) // one forgets it in time
	if list(one) != "" {
		t.Error("never forgotten")
	}
}

// TestA23_RetriesBackOff: soon at first, seldom later, as usual in the end.
func TestA23_RetriesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{fault: func(int, *http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 10*time.Second)
		time.Sleep(3 * time.Minute)
		times := w.sent()
		expect := 1.0
		for i := range times[1:] {
			pause := times[i+1].Sub(times[i]).Seconds()
			if low, high := min(0.8*expect, 9), min(1.2*expect, 11); pause < low || pause > high {
				t.Errorf("pause %d is %.2f s, want from %.2f to %.2f", i, pause, low, high)
			}
			expect *= 1.6
		}
		if n := len(times); n < 18 || n > 25 {
			t.Errorf("%d beats in three minutes", n)
		}
		reg.Close()
	})
}

// TestF58_RegistryRestarts: a registry that has forgotten everything knows all
// again within a heartbeat.
func TestF58_RegistryRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r restarted
		r.Store(New(time.Minute))
		w := &web{hosts: map[string]http.Handler{"registry": &r}}
		for _, addr := range []string{"tcp@a:1", "tcp@b:1", "tcp@c:1"} {
			reg := heartbeat(w.client(), "http://registry", addr, 10*time.Second)
			defer reg.Close()
		}
		time.Sleep(time.Minute)
		r.Store(New(time.Minute))
		time.Sleep(11 * time.Second)
		if got := list(&r); got != "tcp@a:1,tcp@b:1,tcp@c:1" {
			t.Errorf("after a heartbeat it knows %q", got)
		}
	})
}

// TestA25_CloseTwiceAtOnce: Close from several goroutines; each returns when all
// is done.
func TestA25_CloseTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		w := &web{hosts: map[string]http.Handler{"one": r}}
		reg := heartbeat(w.client(), "http://one", "tcp@a:1", 0)
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() { errs <- reg.Close() }() // the test waits for each
		}
		for range cap(errs) {
			if err := <-errs; err != nil || list(r) != "" {
				t.Errorf("Close: %v, list %q", err, list(r))
			}
		}
	})
}
