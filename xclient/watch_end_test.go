package xclient

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

// TestWatchEndsUnused: nothing of the watch is left a minute after the last
// use; the bubble would not end otherwise. The list is there at once all the
// same, and soon up to date.
func TestWatchEndsUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		d.client.Transport = r // not closed with the test
		for range 20 {
			all(d)
			time.Sleep(tickInterval*idleTicks - time.Second)
			synctest.Wait()
			if !r.watched() {
				t.Fatal("the watch has ended too soon")
			}
		}
		time.Sleep(tickInterval * 2)
		synctest.Wait()
		asked, _ := r.times()
		if r.watched() || d.running() {
			t.Error("the watch goes on, unused")
		}
		time.Sleep(time.Hour)
		if again, _ := r.times(); again != asked {
			t.Errorf("asked %d times though nobody wants to know", again-asked)
		}
		r.lists("tcp@b:2")
		begin := time.Now()
		l, err := d.List(t.Context()) // once: the new list may come as soon as this one is asked for
		if err != nil || addrs(l.Endpoints) != "tcp@a:1" || time.Since(begin) > 0 {
			t.Errorf("after an hour the list is %v, %v, and took %s", l, err, time.Since(begin))
		}
		synctest.Wait()
		wantListAtOnce(t, d, "tcp@b:2")
	})
}

// TestWatchEndsUnused_Embedded in an EndpointDiscovery, whose XClient asks for
// the list each second to compare it with its servers.
func TestWatchEndsUnused_Embedded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := watching(t, newWireRegistry(w.start("a")))
		name(t, w.client(embedding{d}))
		time.Sleep(tickInterval * (idleTicks + 2))
		if d.running() {
			t.Error("the watch goes on, unused")
		}
	})
}

type embedding struct{ *GeeRegistryDiscovery }

// Endpoints implements EndpointDiscovery.
func (e embedding) Endpoints(ctx context.Context) (*List, error) { return e.List(ctx) }

// running tells whether anything of a watch is left.
func (d *GeeRegistryDiscovery) running() bool {
	d.state.Lock()
	defer d.state.Unlock()
	if d.watch == nil {
		return false
	}
	select {
	case <-d.watch.done:
		return false
	default:
		return true
	}
}

// TestClose: nothing is left running when it returns, be it in the middle of a
// request or of a pause, and the list can still be used.
func TestClose(t *testing.T) {
	for name, begin := range map[string]func(*wireRegistry, *GeeRegistryDiscovery){
		"unused":          func(*wireRegistry, *GeeRegistryDiscovery) {},
		"watching":        func(_ *wireRegistry, d *GeeRegistryDiscovery) { all(d) },
		"waiting to hear": func(r *wireRegistry, d *GeeRegistryDiscovery) { all(d); r.fails(faultHang) },
		"pausing":         func(r *wireRegistry, d *GeeRegistryDiscovery) { all(d); r.fails(fault500) },
		"after Refresh":   func(_ *wireRegistry, d *GeeRegistryDiscovery) { all(d); time.Sleep(d.timeout); d.Refresh() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1")
				d := watching(t, r)
				begin(r, d)
				synctest.Wait()
				for range 2 {
					if err := d.Close(); err != nil || d.running() || r.watched() {
						t.Fatalf("%v, running: %v, watched: %v", err, d.running(), r.watched())
					}
				}
				r.fails(nil)
				if got := all(d); got != "tcp@a:1" {
					t.Error("after Close: ", got)
				}
				r.lists("tcp@b:2")
				time.Sleep(2 * minPause)
				wantListAtOnce(t, d, "tcp@b:2")
			})
		})
	}
}

// TestCloseLeavesNoConnection that is kept for the next poll.
func TestCloseLeavesNoConnection(t *testing.T) {
	states := make(chan http.ConnState, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(registryapi.ServersHeader, "tcp@a:1")
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) { states <- s }
	server.Start()
	defer server.Close()
	d := NewGeeRegistryDiscovery(server.URL, 0)
	all(d)
	for s := range states {
		if s == http.StateIdle {
			break
		}
	}
	d.Close()
	select {
	case s := <-states:
		if s != http.StateClosed {
			t.Error(s)
		}
	case <-time.After(10 * time.Second): // instead of hanging: the connection is real
		t.Error("the connection stays open")
	}
}

// TestCloseLeavesOthersConnections: a program may have a transport of its own
// as http.DefaultTransport, whose idle connections are not ours to close.
func TestCloseLeavesOthersConnections(t *testing.T) {
	own := &ownTransport{RoundTripper: newWireRegistry("tcp@a:1")}
	defer func(before http.RoundTripper) { http.DefaultTransport = before }(http.DefaultTransport)
	http.DefaultTransport = own
	d := NewGeeRegistryDiscovery("http://registry/_geerpc_/registry", 0)
	if got := all(d); got != "tcp@a:1" {
		t.Error("the list is ", got)
	}
	d.Close()
	if own.closed.Load() {
		t.Error("Close has closed the idle connections of a shared transport")
	}
}

// An ownTransport is a user's, around another one.
type ownTransport struct {
	http.RoundTripper
	closed atomic.Bool
}

func (t *ownTransport) CloseIdleConnections() { t.closed.Store(true) }

// TestRefreshAfterAPause, in which the watch has ended, waits for the list of
// now.
func TestRefreshAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		all(d)
		time.Sleep(time.Hour)
		r.lists("tcp@b:2")
		if err := d.Refresh(); err != nil {
			t.Error(err)
		}
		wantListAtOnce(t, d, "tcp@b:2")
	})
}

// TestCloseWhileWaiting: who waits for the first list is told.
func TestCloseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		r.fails(faultHang)
		d := watching(t, r)
		errs := make(chan error, 2) // from two goroutines that end with Close
		go func() { _, err := d.Get(RandomSelect); errs <- err }()
		go func() { errs <- d.Refresh() }()
		synctest.Wait()
		begin := time.Now()
		d.Close()
		for range 2 {
			wantError(t, <-errs, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("told after %s", took)
		}
	})
}
