package xclient

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestD208_AfterAnOutage of all ten servers, for minutes, calls go well again
// soon after they are back, and within two seconds each has its share.
func TestD208_AfterAnOutage(t *testing.T) {
	t.Parallel()
	for _, b := range balancers {
		for _, outage := range []time.Duration{time.Minute, 5 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var names, addrs []string
				for i := range 10 {
					names = append(names, fmt.Sprint("s", i))
					addrs = append(addrs, w.start(names[i]))
				}
				xc := New(NewMultiServerDiscovery(addrs), Config{Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: b.Balancer})
				defer xc.Close()
				connectAll(t, xc)
				calls := func(d time.Duration) (first time.Duration) {
					first = -1
					for begin := time.Now(); time.Since(begin) < d; time.Sleep(30 * time.Millisecond) {
						ctx := WithHashKey(t.Context(), fmt.Sprint(time.Now().UnixNano()))
						if xc.Call(ctx, "Work.Name", 0, nil) == nil && first < 0 {
							first = time.Since(begin)
						}
					}
					return first
				}
				for _, name := range names {
					w.host(name).stop()
				}
				if calls(outage) >= 0 {
					t.Fatal("a call went well during the outage")
				}
				dials := w.dialed(names[0])
				for _, name := range names {
					w.start(name)
				}
				first := calls(2 * time.Second)
				if first < 0 || first > redialInterval+200*time.Millisecond {
					t.Errorf("%s: the first call that went well ended after %s", b.name, first)
				}
				before := w.calls(names...)
				calls(10 * time.Second)
				least := int64(3) // of 33 on average; fewer are chance once in 10¹⁰ runs
				if b.name == "RoundRobin" {
					least = 30
				}
				for name, n := range w.calls(names...) {
					if n -= before[name]; n < least && b.name != "LeastLoaded" || n == 0 {
						t.Errorf("%s: %s got %d of 333 calls from the third second on", b.name, name, n)
					}
				}
				if most := int(outage/redialInterval) + 30; dials > most {
					t.Errorf("%s: %d dials of a server in an outage of %s", b.name, dials, outage)
				}
				t.Logf("%s: the first call went well %s after an outage of %s, with %d dials a server", b.name, first, outage, dials)
			})
		}
	}
}

// TestD208_NewsOfTheList: servers are in the pause after many dials that failed.
// The registry lists another one: whoever brought that may have brought the
// others back, too.
func TestD208_NewsOfTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		up := w.start("up")
		d := NewMultiServerDiscovery([]string{up, "pipe@a", "pipe@b"})
		xc := w.client(d)
		for range 50 {
			name(t, xc)
			time.Sleep(5 * time.Second)
		}
		before := w.dialed("a")
		d.Update([]string{up, w.start("a"), w.start("b"), "pipe@c"})
		name(t, xc)
		time.Sleep(100 * time.Millisecond)
		for _, name := range []string{"a", "b"} {
			if w.connections(name) != 1 {
				t.Errorf("%s is not connected", name)
			}
		}
		if before > 25 { // 19 or 20, as a rule
			t.Errorf("%d dials of a server that is down while another one is up", before)
		}
	})
}

// TestD208_Broadcast calls each server by itself: one that has come back is
// dialled for it, however long the pause would be.
func TestD208_Broadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("up"), "pipe@a"}))
		for range 10 {
			if xc.BroadcastAll(t.Context(), "Work.Name", 0, nil) == nil {
				t.Error("nobody is at a")
			}
			time.Sleep(20 * time.Second)
		}
		w.start("a")
		if err := xc.BroadcastAll(t.Context(), "Work.Name", 0, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestD208_AnotherServerIsBack: two servers are in long pauses, and no call is
// made. When one of them has been dialled again with success, so is the other,
// which may have been cut off by the same fault.
func TestD208_AnotherServerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		connectAll(t, xc)
		for _, name := range []string{"a", "b"} {
			w.host(name).stop()
		}
		for range 10 {
			if xc.Call(t.Context(), "Work.Name", 0, nil) == nil {
				t.Fatal("nobody is there")
			}
		}
		time.Sleep(5 * time.Minute)
		w.start("a")
		w.start("b")
		for w.connections("a")+w.connections("b") == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		if a, b := w.connections("a"), w.connections("b"); a != 1 || b != 1 {
			t.Errorf("%d and %d connections, want one to each", a, b)
		}
	})
}
