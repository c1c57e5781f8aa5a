package xclient

import (
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestF220_SilentInOneOfSeveral: a registry that is cut off says of all servers
// that they are silent. Another one hears them, and they are not.
func TestF220_SilentInOneOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newWireRegistry(), newWireRegistry()
		a.listsEndpoints(Endpoint{Addr: "tcp@x:1", Silent: true, Weight: 7}, Endpoint{Addr: "tcp@y:2", Silent: true}, Endpoint{Addr: "tcp@z:3", Silent: true})
		b.listsEndpoints(Endpoint{Addr: "tcp@x:1"}, Endpoint{Addr: "tcp@y:2", Silent: true})
		for _, d := range []*GeeRegistryDiscovery{watching(t, a, b), watching(t, b, a)} {
			all(d)
			synctest.Wait()
			l, err := d.List(t.Context())
			if err != nil || addrs(l.Endpoints) != "tcp@x:1,tcp@y:2,tcp@z:3" {
				t.Fatalf("%+v, %v", l, err)
			}
			if l.Endpoints[0].Silent || !l.Endpoints[1].Silent || !l.Endpoints[2].Silent {
				t.Errorf("%+v", l.Endpoints)
			}
		}
	})
}

// TestF220_SilentServersComeIn: four of five living servers are marked silent, as
// by a registry that is cut off from them. A client that starts then calls the
// fifth, and soon all of them. Dead ones among them take no calls, and without
// calls nobody is dialled.
func TestF220_SilentServersComeIn(t *testing.T) {
	for _, subset := range []int{0, 6} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			_, addrs := cast(t, w, 5)
			w.hang("dead", true)
			endpoints := []Endpoint{{Addr: "pipe@dead", Silent: true}}
			for i, a := range addrs {
				endpoints = append(endpoints, Endpoint{Addr: a, Silent: i > 0})
			}
			d, err := NewEndpoints(endpoints)
			if err != nil {
				t.Fatal(err)
			}
			xc := New(d, Config{Balancer: RoundRobin(), Subset: subset, IdleTimeout: time.Minute, Option: &geerpc.Option{Dialer: w.DialContext}})
			defer xc.Close()
			for range 300 {
				if err := xc.Call(mustEnd(t, time.Second), "Stage.Play", 0, nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			for _, s := range xc.Servers() {
				if s.Endpoint.Addr != "pipe@dead" && s.Answers < 5 {
					t.Errorf("of the latest calls %s got %d", s.Endpoint.Addr, s.Answers)
				}
			}
			time.Sleep(2 * time.Minute)
			before := w.dialed("s1") + w.dialed("s4") + w.dialed("dead")
			time.Sleep(time.Hour)
			if n := w.dialed("s1") + w.dialed("s4") + w.dialed("dead") - before; n > 0 {
				t.Errorf("%d dials in an hour without calls", n)
			}
		})
	}
}
