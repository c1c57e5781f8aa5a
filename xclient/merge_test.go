package xclient

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

func TestSeveralRegistriesMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newWireRegistry(), newWireRegistry()
		first := Endpoint{Addr: "tcp@x:1", Weight: 7, Services: []string{"S"}, Metadata: map[string]string{"zone": "a"}, Legacy: true}
		a.listsEndpoints(first, Endpoint{Addr: "tcp@z:3"})
		b.listsEndpoints(Endpoint{Addr: "tcp@x:1", Weight: 2}, Endpoint{Addr: "tcp@y:2"})
		d := watching(t, a, b)
		all(d)
		synctest.Wait()
		l, err := d.List(t.Context())
		want := []Endpoint{first, {Addr: "tcp@y:2"}, {Addr: "tcp@z:3"}}
		if err != nil || !reflect.DeepEqual(l.Endpoints, want) {
			t.Fatalf("%+v, %v", l, err)
		}
		a.lists("tcp@z:3") // the second registry's word counts for x then
		time.Sleep(2 * watchGap)
		l, err = d.List(t.Context())
		if err != nil || addrs(l.Endpoints) != "tcp@x:1,tcp@y:2,tcp@z:3" || l.Endpoints[0].Weight != 2 {
			t.Fatalf("%+v, %v", l, err)
		}
	})
}

// TestF59_OneOfSeveralRegistriesIsDead: one of them is enough, at the start and
// later.
func TestF59_OneOfSeveralRegistriesIsDead(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{"down": faultDown, "500": fault500, "HTML": faultHTML, "hangs": faultHang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead, well := newWireRegistry("tcp@a:1", "tcp@old:1"), newWireRegistry("tcp@a:1", "tcp@b:2")
				dead.fails(fault)
				d := watching(t, dead, well)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
				dead.fails(nil)
				time.Sleep(2 * refreshLimit)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2,tcp@old:1")
				dead.fails(fault)
				time.Sleep(graceTime - time.Second)
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2,tcp@old:1")
				// What only the dead one knows is dropped at last, at the latest
				// when a request that hangs was given up, and a tick came.
				for range 50 {
					time.Sleep(time.Second)
					all(d)
				}
				wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
				// But not in favour of nobody.
				well.lists()
				time.Sleep(2 * graceTime)
				wantListAtOnce(t, d, "tcp@a:1,tcp@old:1")
			})
		})
	}
}

// TestAllRegistriesFail: the error has what is wrong with each.
func TestAllRegistriesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newWireRegistry(), newWireRegistry()
		a.fails(fault500)
		b.fails(faultHTML)
		_, err := watching(t, a, b).List(t.Context())
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		want := "rpc discovery: registry http://a/_geerpc_/registry: status 500 Internal Server Error\n" +
			"registry http://b/_geerpc_/registry: no X-Geerpc-Servers in the answer; is it a registry?"
		if err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	})
}

// TestUpdateWhileWatching: what the program says counts for the timeout, and
// then until a registry has answered, which gets the usual grace.
func TestUpdateWhileWatching(t *testing.T) {
	for _, c := range []struct {
		name  string
		then  func(*wireRegistry)
		later string // 5 seconds after the timeout
	}{
		{"all is well", func(r *wireRegistry) {}, "tcp@a:1"},
		{"another list", func(r *wireRegistry) { r.lists("tcp@b:2") }, "tcp@b:2"},
		{"down", func(r *wireRegistry) { r.fails(faultDown) }, "tcp@mine:1"},
		{"empty", func(r *wireRegistry) { r.lists() }, "tcp@mine:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newWireRegistry("tcp@a:1")
				d := watching(t, r)
				all(d)
				if err := d.SetEndpoints([]Endpoint{{Addr: "tcp@mine:1", Weight: 3}}); err != nil {
					t.Fatal(err)
				}
				c.then(r)
				time.Sleep(d.timeout - time.Second)
				wantListAtOnce(t, d, "tcp@mine:1")
				if l, _ := d.List(t.Context()); l.Endpoints[0].Weight != 3 {
					t.Errorf("%+v", l)
				}
				if err := d.SetEndpoints([]Endpoint{{Addr: "mine"}}); err == nil {
					t.Error("a bad address is taken")
				}
				time.Sleep(6 * time.Second)
				wantListAtOnce(t, d, c.later)
			})
		})
	}
}

// TestUpdateHasRegistriesLeftAlone for the timeout, and what any of them said
// before is forgotten.
func TestUpdateHasRegistriesLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newWireRegistry("tcp@a:1"), newWireRegistry("tcp@b:2")
		d := watching(t, a, b)
		all(d)
		time.Sleep(time.Second)
		d.Update([]string{"tcp@mine:1"})
		askedA, _ := a.times()
		askedB, _ := b.times()
		for range 9 {
			wantListAtOnce(t, d, "tcp@mine:1")
			time.Sleep(time.Second)
		}
		nowA, _ := a.times()
		nowB, _ := b.times()
		if nowA != askedA || nowB != askedB {
			t.Errorf("the registries were asked %d and %d times", nowA-askedA, nowB-askedB)
		}
		time.Sleep(2 * time.Second)
		wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
	})
}

// TestRegistryThatDoesNotHoldBack, as behind a proxy that answers for it, is
// polled.
func TestRegistryThatDoesNotHoldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		r.fails(faultText("application/json", `{"index":9,"servers":[{"addr":"tcp@a:1"}]}`))
		d := watching(t, r)
		for range 60 {
			wantListAtOnce(t, d, "tcp@a:1")
			time.Sleep(time.Second)
		}
		if asked, _ := r.times(); asked > 8 {
			t.Errorf("asked %d times in a minute", asked)
		}
	})
}

// TestRegistryThatIsWatchedByTooMany tells its list all the same, and is asked
// for it from time to time.
func TestRegistryThatIsWatchedByTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		list := `{"index":9,"servers":[{"addr":"tcp@a:1"}]}`
		r.fails(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Query().Has("index") {
				http.Error(w, "too many are watching", http.StatusServiceUnavailable)
				return
			}
			faultText("application/json", list)(w, req)
		})
		d := watching(t, r)
		for range 60 {
			wantListAtOnce(t, d, "tcp@a:1")
			time.Sleep(time.Second)
		}
		before, _ := r.times()
		for range 60 {
			wantListAtOnce(t, d, "tcp@a:1")
			if age := d.Age(); age > maxAskPause*6/5+watchGap {
				t.Fatalf("the list is %s old", age)
			}
			time.Sleep(time.Second)
		}
		if asked, _ := r.times(); asked-before > 35 { // twice each 4 seconds
			t.Errorf("asked %d times in a minute", asked-before)
		}
	})
}

// TestAgeOfWatchedList: a registry that has nothing new says so from time to
// time.
func TestAgeOfWatchedList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := watching(t, newWireRegistry("tcp@a:1"))
		for range 600 {
			all(d)
			if age := d.Age(); age > watchWait+watchGap {
				t.Fatalf("the list is %s old", age)
			}
			time.Sleep(time.Second)
		}
		d.Close()
		time.Sleep(time.Hour)
		if age := d.Age(); age < time.Hour {
			t.Errorf("an hour later it is %s old", age)
		}
	})
}

// TestAgeOfKeptList: an answer that nobody is there does not confirm a list of
// servers which is kept all the same.
func TestAgeOfKeptList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		all(d)
		begin := time.Now()
		time.Sleep(time.Second)
		r.lists()
		time.Sleep(10 * time.Second)
		wantListAtOnce(t, d, "tcp@a:1")
		if age := d.Age(); age != time.Since(begin) {
			t.Errorf("the kept list is %s old, want %s", age, time.Since(begin))
		}
		r.lists("tcp@a:1")
		time.Sleep(time.Second)
		wantListAtOnce(t, d, "tcp@a:1")
		if age := d.Age(); age > time.Second {
			t.Errorf("confirmed a second ago, it is %s old", age)
		}
	})
}

// TestEndpointsCostsNothing once a list is there.
func TestEndpointsCostsNothing(t *testing.T) {
	r := httptest.NewServer(newWireRegistry("tcp@a:1"))
	defer r.Close()
	d := NewGeeRegistryDiscovery(r.URL, 0)
	defer d.Close()
	all(d)
	if n := testing.AllocsPerRun(1000, func() { d.List(context.Background()) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("tcp@s%d:1", i)
		}
		r := httptest.NewServer(newWireRegistry(list...))
		defer r.Close()
		gee := NewGeeRegistryDiscovery(r.URL, 0)
		defer gee.Close()
		for name, d := range map[string]listSource{"static": NewMultiServerDiscovery(list), "registry": gee} {
			b.Run(fmt.Sprintf("%s/servers=%d", name, n), func(b *testing.B) {
				d.List(b.Context())
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := d.List(context.Background()); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
