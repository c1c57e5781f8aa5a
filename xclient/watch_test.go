package xclient

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestWatchOverHTTP is about a change that is seen soon, over real connections,
// of which one is enough.
func TestWatchOverHTTP(t *testing.T) {
	r := newWireRegistry("tcp@s0:1")
	var conns atomic.Int64
	server := httptest.NewUnstartedServer(r)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	d := NewGeeRegistryDiscovery(server.URL, 0)
	defer d.Close()
	if got := all(d); got != "tcp@s0:1" {
		t.Fatal(got)
	}
	var took []time.Duration
	for i := range 20 {
		eventually(t, "the registry is watched", r.watched)
		want := fmt.Sprintf("tcp@s%d:1", i+1)
		begin := time.Now()
		r.lists(want)
		eventually(t, "the change is seen", func() bool { return all(d) == want })
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 2*time.Second { // 1 ms, if the machine has nothing else to do
		t.Errorf("a change is seen after %s", median)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

// TestA28_WatchedRegistryFails: whatever it does, for however long, the last
// list stays, nobody waits, and once it is well again a change is seen within
// seconds.
func TestA28_WatchedRegistryFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault http.HandlerFunc
		want  string
	}{
		{"down", faultDown, "unexpected EOF"},
		{"500", fault500, "status 500"},
		{"hangs", faultHang, "context deadline exceeded"},
		{"HTML", faultHTML, "is it a registry?"},
		{"other JSON", faultText("application/json", `{"status":"ok"}`), "is it a registry?"},
		{"JSON cut short", faultText("application/json", `{"index":5,"servers":[{"addr":"tcp@x`), "unexpected end of JSON"},
		{"JSON of other types", faultText("application/json", `{"index":5,"servers":"tcp@x:1"}`), "cannot unmarshal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1", "tcp@b:2")
				d := watching(t, r)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
				synctest.Wait()
				r.fails(c.fault)
				for range 600 {
					wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
					time.Sleep(time.Second)
				}
				if age := d.Age(); age != 10*time.Minute {
					t.Errorf("the list is %s old", age)
				}
				err := d.Refresh()
				wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				asked, _ := r.times()
				if asked < 50 || asked > 200 {
					t.Errorf("asked %d times in 10 minutes", asked)
				}
				r.fails(nil)
				r.lists("tcp@c:3")
				time.Sleep(maxAskPause*6/5 + refreshLimit)
				wantListAtOnce(t, d, "tcp@c:3")
			})
		})
	}
}

// TestF58_RegistryRestarts: it comes back knowing nobody, and learns one by one
// who is there. Callers miss nobody meanwhile, and in the end those who didn't
// come back. What it says of those that it knows counts at once.
func TestF58_RegistryRestarts(t *testing.T) {
	for _, known := range [][]string{nil, {"tcp@a:1"}} { // by the time it is asked first
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1", "tcp@b:2", "tcp@c:3")
				d := watching(t, r)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2,tcp@c:3")
				r.fails(faultDown)
				time.Sleep(20 * time.Second)
				r.restart(known...)
				for n := range 20 {
					wantListAtOnce(t, d, "tcp@a:1,tcp@b:2,tcp@c:3")
					time.Sleep(time.Second)
					switch n {
					case 5:
						r.lists("tcp@a:1")
					case 10:
						r.lists("tcp@a:1", "tcp@b:2")
					}
				}
				r.lists("tcp@a:1", "tcp@d:4")
				time.Sleep(time.Second)
				wantListAtOnce(t, d, "tcp@a:1,tcp@c:3,tcp@d:4")
				time.Sleep(graceTime)
				wantListAtOnce(t, d, "tcp@a:1,tcp@d:4")
			})
		})
	}
}

// TestDeregistrationCountsAtOnce: the grace is only for a registry that has
// forgotten.
func TestDeregistrationCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1", "tcp@b:2")
		d := watching(t, r)
		all(d)
		for range quickBurst/2 - 2 {
			time.Sleep(200 * time.Millisecond)
			r.lists("tcp@b:2")
			time.Sleep(watchGap)
			wantListAtOnce(t, d, "tcp@b:2")
			time.Sleep(200 * time.Millisecond)
			r.lists("tcp@a:1", "tcp@b:2")
			time.Sleep(watchGap)
			wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
		}
	})
}

// TestF59_RegistryDownAtStart: calls fail in time, and succeed as soon as it is
// there.
func TestF59_RegistryDownAtStart(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{"down": faultDown, "500": fault500, "HTML": faultHTML, "hangs": faultHang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1")
				r.fails(fault)
				d := watching(t, r)
				if age := d.Age(); age != math.MaxInt64 {
					t.Errorf("before the first list it is %s old", age)
				}
				for begin := time.Now(); time.Since(begin) < time.Minute; {
					once := time.Now()
					_, err := d.Get(RandomSelect)
					wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
					if took := time.Since(once); took > refreshLimit+minPause {
						t.Fatal("waited for ", took)
					}
				}
				r.fails(nil)
				begin := time.Now()
				if got := all(d); got != "tcp@a:1" || time.Since(begin) > refreshLimit+minPause {
					t.Errorf("%s after %s", got, time.Since(begin))
				}
			})
		})
	}
}

// TestF59_EndlessJSON answers with JSON without end, over a real connection.
func TestF59_EndlessJSON(t *testing.T) {
	hungUp := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		junk := []byte(`{"index":1,"servers":[` + strings.Repeat(`{"addr":"tcp@a:1"},`, 1<<12))
		for err := error(nil); err == nil; {
			_, err = w.Write(junk)
		}
		select {
		case hungUp <- struct{}{}:
		default:
		}
	}))
	defer server.Close()
	d := NewGeeRegistryDiscovery(server.URL, 0)
	defer d.Close()
	_, err := d.Get(RandomSelect)
	wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
	if !strings.Contains(err.Error(), "a list of more than") {
		t.Error(err)
	}
	<-hungUp
}

// TestF60_EmptyListKept for the grace time; then it is an error, and nobody
// waits for that either.
func TestF60_EmptyListKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1", "tcp@b:2")
		d := watching(t, r)
		all(d)
		r.lists()
		for begin := time.Now(); time.Since(begin) < graceTime; time.Sleep(time.Second) {
			wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
		}
		time.Sleep(tickInterval)
		for range 100 {
			begin := time.Now()
			_, err := d.Get(RandomSelect)
			wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
			if took := time.Since(begin); took > 0 || !errors.Is(err, errNoServers) {
				t.Fatalf("%v after %s", err, took)
			}
			if _, err := d.List(t.Context()); !errors.Is(err, errNoServers) {
				t.Fatal(err)
			}
		}
		r.lists("tcp@c:3")
		time.Sleep(watchGap)
		wantListAtOnce(t, d, "tcp@c:3")
	})
}

// TestF60_EmptyAtStart: a registry that has no servers yet has been asked, and
// says so when the first one comes.
func TestF60_EmptyAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		d := watching(t, r)
		for range 50 {
			_, err := d.GetAll()
			if want := "no available servers in the list of http://a/_geerpc_/registry"; !errors.Is(err, errNoServers) || !strings.Contains(err.Error(), want) {
				t.Fatal(err)
			}
		}
		if asked, _ := r.times(); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(watchGap)
		r.lists("tcp@a:1")
		synctest.Wait()
		wantListAtOnce(t, d, "tcp@a:1")
	})
}

// TestWait for the first server, whatever the registry says before.
func TestWait(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{"empty": nil, "500": fault500, "down": faultDown, "hangs": faultHang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry()
				r.fails(fault)
				d := watching(t, r)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()
				wantError(t, d.Wait(ctx), geerpc.CodeDeadlineExceeded, geerpc.InClient, geerpc.RanNever)
				if took := time.Since(begin); took != time.Minute {
					t.Errorf("gave up after %s", took)
				}
				waited := make(chan error, 1) // from a goroutine that ends with the test's context
				go func() { waited <- d.Wait(t.Context()) }()
				time.Sleep(time.Minute)
				r.fails(nil)
				r.lists("tcp@a:1")
				begin = time.Now()
				if err := <-waited; err != nil || time.Since(begin) > refreshLimit+maxAskPause*6/5 {
					t.Errorf("%v, after %s", err, time.Since(begin))
				}
				wantListAtOnce(t, d, "tcp@a:1")
			})
		})
	}
}

// TestF61_Partitions of each pair, as far as discovery is concerned: that of
// client and server is for the XClient to notice, as the registry goes on
// listing the server.
func TestF61_Partitions(t *testing.T) {
	for _, c := range []struct {
		name         string
		part, heal   func(r *wireRegistry)
		during, soon string
	}{
		{"registry and server", func(r *wireRegistry) { r.lists("tcp@b:2") }, func(r *wireRegistry) { r.lists("tcp@a:1", "tcp@b:2") },
			"tcp@b:2", "tcp@a:1,tcp@b:2"},
		{"registry and all servers", func(r *wireRegistry) { r.lists() }, func(r *wireRegistry) { r.lists("tcp@a:1", "tcp@b:2") },
			"tcp@a:1,tcp@b:2", "tcp@a:1,tcp@b:2"},
		{"registry and client", func(r *wireRegistry) { r.fails(faultHang) }, func(r *wireRegistry) { r.fails(nil); r.lists("tcp@c:3") },
			"tcp@a:1,tcp@b:2", "tcp@c:3"},
		{"server and client", func(*wireRegistry) {}, func(*wireRegistry) {},
			"tcp@a:1,tcp@b:2", "tcp@a:1,tcp@b:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1", "tcp@b:2")
				d := watching(t, r)
				all(d)
				synctest.Wait()
				c.part(r)
				time.Sleep(time.Second)
				for range 25 {
					wantListAtOnce(t, d, c.during)
					time.Sleep(time.Second)
				}
				c.heal(r)
				time.Sleep(maxAskPause*6/5 + refreshLimit)
				wantListAtOnce(t, d, c.soon)
			})
		})
	}
}

// TestF66_EndpointsChangeInTheMiddle: a list that somebody holds is never
// changed, and there is always one.
func TestF66_EndpointsChangeInTheMiddle(t *testing.T) {
	r := newWireRegistry()
	r.listsEndpoints(Endpoint{Addr: "tcp@s0:1", Weight: 1})
	server := httptest.NewServer(r)
	defer server.Close()
	d := NewGeeRegistryDiscovery(server.URL, 0)
	defer d.Close()
	all(d)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				l, err := d.List(context.Background())
				if err != nil || len(l.Endpoints) == 0 || len(l.Endpoints) != l.Endpoints[0].Weight {
					t.Errorf("%+v, %v", l, err)
					return
				}
				d.Get(RoundRobinSelect)
			}
		})
	}
	for n := range 10 {
		eventually(t, "the registry is watched", r.watched)
		list := make([]Endpoint, n+1)
		for i := range list {
			list[i] = Endpoint{Addr: fmt.Sprintf("tcp@s%d:1", i), Weight: n + 1}
		}
		r.listsEndpoints(list...)
	}
	close(stop)
	readers.Wait()
}
