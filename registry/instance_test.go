package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

// An instanceStep is a request of an instance, and the list after it.
type instanceStep struct {
	method, name string
	after        time.Duration
	want         string
}

// TestF214_Goodbye: what an instance says of an address ends with its own
// goodbye, and not with that of another one of the same address.
func TestF214_Goodbye(t *testing.T) {
	const post, del, there = http.MethodPost, http.MethodDelete, "tcp@a:1"
	for _, c := range []struct {
		name  string
		steps []instanceStep
	}{
		{"a fast restart, the old one's goodbye is late", []instanceStep{
			{post, "old", 0, there}, {post, "new", time.Second, there}, {del, "old", time.Second, there}, {del, "new", time.Second, ""}}},
		{"both beat, the new one leaves", []instanceStep{
			{post, "old", 0, there}, {post, "new", time.Second, there}, {post, "old", 9 * time.Second, there}, {del, "new", time.Second, there}, {del, "old", time.Second, ""}}},
		{"both beat, the old one leaves", []instanceStep{
			{post, "old", 0, there}, {post, "new", time.Second, there}, {post, "old", 9 * time.Second, there}, {del, "old", time.Second, there}, {del, "new", 0, ""}}},
		{"the old one was killed", []instanceStep{
			{post, "old", 0, there}, {post, "new", time.Second, there}, {post, "new", 10 * time.Second, there}, {del, "new", 5 * time.Second, ""}}},
		{"the new one leaves before the old one's next beat", []instanceStep{
			{post, "old", 0, there}, {post, "new", time.Second, there}, {del, "new", time.Second, there}, {post, "old", 8 * time.Second, there}, {del, "old", 0, ""}}},
		{"an old beat arrives behind the goodbye", []instanceStep{
			{post, "one", 0, there}, {del, "one", time.Second, ""}, {post, "one", time.Second, ""}, {post, "two", 0, there}}},
		{"the first beat arrives behind the goodbye", []instanceStep{
			{del, "one", 0, ""}, {post, "one", time.Second, ""}}},
		{"a server of GeeRPC's is taken over", []instanceStep{
			{post, "", 0, there}, {post, "new", time.Second, there}, {del, "other", 0, there}, {del, "new", 15 * time.Second, ""}}},
		{"a goodbye without a name", []instanceStep{
			{post, "new", 0, there}, {del, "", time.Second, ""}}},
		{"the old one expires, the new one goes on", []instanceStep{
			{post, "old", 0, there}, {post, "new", 20 * time.Second, there}, {post, "new", 20 * time.Second, there}, {del, "new", time.Second, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(time.Minute)
				for i, s := range c.steps {
					time.Sleep(s.after)
					request(r, s.method, registryapi.DefaultPath, registryapi.ServerHeader, there, registryapi.IntervalHeader, "10s", registryapi.InstanceHeader, s.name)
					if got := list(r); got != s.want {
						t.Fatalf("after step %d, %s %s: %q, want %q", i, s.method, s.name, got, s.want)
					}
				}
			})
		})
	}
}

// TestF214_IntervalsDiffer: an instance that beats once in a minute lives as long
// as it said, whatever another one of its address says, and leaves.
func TestF214_IntervalsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(5 * time.Minute)
		r.Grace = -1
		beat := func(method, name, interval string, after time.Duration) {
			request(r, method, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.InstanceHeader, name, registryapi.IntervalHeader, interval)
			time.Sleep(after)
		}
		check := func(silent bool) {
			t.Helper()
			if l := r.Servers(); len(l) != 1 || l[0].Silent != silent {
				t.Fatalf("%+v", l)
			}
		}
		beat(http.MethodPost, "old", "1m", 59*time.Second)
		beat(http.MethodPost, "new", "1s", time.Second)
		beat(http.MethodPost, "old", "1m", time.Second)
		beat(http.MethodPost, "new", "1s", 10*time.Second) // and then it dies
		check(false)
		beat(http.MethodPost, "newer", "1s", 0)
		beat(http.MethodDelete, "newer", "", 50*time.Second)
		check(false)
		time.Sleep(32 * time.Second)
		check(true)
		beat(http.MethodPost, "old", "1m", 0)
		check(false)
		time.Sleep(3*time.Minute + 2*time.Second)
		if l := r.Servers(); len(l) > 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestF214_LatestSpeaks: two that share an address and say different things
// don't have the list change at each beat.
func TestF214_LatestSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		beat := func(name, weight string) {
			request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.IntervalHeader, "10s", registryapi.InstanceHeader, name, registryapi.WeightHeader, weight)
			time.Sleep(5 * time.Second)
		}
		beat("old", "1")
		beat("new", "2")
		index := indexOf(r)
		for range 20 {
			beat("old", "1")
			beat("new", "2")
		}
		if got := r.Servers()[0]; got.Weight != 2 || indexOf(r) != index {
			t.Errorf("the weight is %d, after %d changes", got.Weight, indexOf(r)-index)
		}
		for range 7 { // the new one is silent for its time to live
			beat("old", "1")
		}
		if got := r.Servers()[0]; got.Weight != 1 || len(got.instances) != 1 {
			t.Errorf("the weight is %d, of %v", got.Weight, got.instances)
		}
	})
}

// TestF214_Bounds: names have a form, and neither those of an address nor those
// that have left are kept without end.
func TestF214_Bounds(t *testing.T) {
	r := New(0)
	for _, name := range []string{"a b", "a,b", fmt.Sprintf("%065d", 0)} {
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			if resp := request(r, method, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.InstanceHeader, name); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s %q: %s", method, name, resp.Status)
			}
		}
	}
	for i := range 2 * maxDeregistered {
		request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.InstanceHeader, fmt.Sprint(i))
		request(r, http.MethodDelete, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@b:1", registryapi.InstanceHeader, fmt.Sprint("b", i))
	}
	if n, gone := len(r.Servers()[0].instances), len(r.deregistered.until); n > maxInstances || gone > maxDeregistered || len(r.deregistered.order) != gone {
		t.Errorf("%d instances, %d departed", n, gone)
	}
}

// TestF214_TakeOver is a process that takes over another one's address, with
// real servers and requests.
func TestF214_TakeOver(t *testing.T) {
	r := New(time.Minute)
	web := httptest.NewServer(r)
	defer web.Close()
	c := Config{Registries: []string{web.URL}, Addr: "tcp@10.0.0.1:9999"}
	old := serve(t, c)
	eventually(t, "the old one is registered", func() bool { return len(r.Servers()) == 1 })
	next := serve(t, c)
	eventually(t, "both are registered", func() bool {
		servers := r.Servers()
		return len(servers) == 1 && len(servers[0].instances) == 2
	})
	for i, s := range []*running{old, next} {
		s.Shutdown(t.Context())
		<-s.ended
		if n := len(r.Servers()); n != 1-i {
			t.Errorf("after %d goodbyes there are %d", i+1, n)
		}
	}
}

// TestF2202_BeatInFlight: a beat that hangs when the server shuts down neither
// uses up the time for the goodbye nor registers the server again.
func TestF2202_BeatInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		late := make(chan *http.Request, 1)
		w := &wire{handler: r}
		w.fault = func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 { // the second beat takes long to arrive
				late <- req
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return nil, nil
		}
		lis := &listener{accepting: make(chan struct{}), closed: make(chan struct{})}
		server := geerpc.NewServer()
		ended := make(chan error, 1)
		go func() { // until Shutdown
			ended <- Serve(server, lis, Config{Registries: []string{"http://registry"}, Client: w.client()})
		}()
		req := <-late
		begin := time.Now()
		server.Shutdown(t.Context())
		<-ended
		if took := time.Since(begin); took > 0 || list(r) != "" {
			t.Errorf("after %s the list is %q", took, list(r))
		}
		if n := len(w.sent()); n != 3 {
			t.Errorf("%d requests, want two beats and a goodbye", n)
		}
		for _, ctx := range []context.Context{t.Context(), req.Context()} { // whether or not the registry sees that the sender has gone
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req.Clone(ctx))
			if want := map[bool]int{false: http.StatusGone, true: http.StatusServiceUnavailable}; list(r) != "" || w.Code != want[ctx.Err() != nil] {
				t.Errorf("the late beat was answered %d, and the list is %q", w.Code, list(r))
			}
		}
	})
}

// TestF2202_SenderHasGone: a beat without a name, whose sender has given it up.
func TestF2202_SenderHasGone(t *testing.T) {
	r := New(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, registryapi.DefaultPath, nil)
	req.Header.Set(registryapi.ServerHeader, "tcp@a:1")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if got := list(r); got != "" || w.Code != http.StatusServiceUnavailable {
		t.Errorf("the list is %q, the answer %d", got, w.Code) // which is heard if it is the registry that stops
	}
}

// TestF2202_CloseIsNoFailure: a beat that Close gives up is not reported.
func TestF2202_CloseIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{handler: New(0), fault: func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return nil, nil
		}}
		reg := heartbeat(w.client(), "http://registry", "tcp@a:1", 10*time.Second)
		for len(w.sent()) < 2 {
			time.Sleep(time.Second)
		}
		if err := reg.Close(); err != nil || reg.Err() != nil {
			t.Errorf("%v, %v", err, reg.Err())
		}
	})
}
