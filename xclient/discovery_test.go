package xclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

func TestA33_UpdateCopies(t *testing.T) {
	mine := []string{"tcp@a:1", "tcp@b:2"}
	want := slices.Clone(mine)
	d := NewMultiServerDiscovery(mine)
	check := func(when string) {
		t.Helper()
		if got, err := d.GetAll(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	mine[0] = "tcp@evil:1"
	check("New kept the caller's slice")
	mine[0] = want[0]
	d.Update(mine)
	mine[0] = "tcp@evil:1"
	check("Update kept the caller's slice")
	all, _ := d.GetAll()
	all[0] = "tcp@evil:1"
	check("GetAll gave its own slice away")
}

func TestGetWithoutServers(t *testing.T) {
	for name, d := range map[string]*MultiServersDiscovery{"nil": NewMultiServerDiscovery(nil), "zero": {}} {
		for _, mode := range []SelectMode{RandomSelect, RoundRobinSelect, 99} {
			_, err := d.Get(mode)
			wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
			if !strings.Contains(err.Error(), "no available servers") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, err := d.GetAll(); len(all) != 0 || err != nil {
			t.Errorf("%s: GetAll: %v, %v", name, all, err)
		}
	}
}

func TestGetWithUnknownMode(t *testing.T) {
	_, err := NewMultiServerDiscovery([]string{"tcp@a:1"}).Get(99)
	wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
	if !strings.Contains(err.Error(), "not supported select mode") {
		t.Error(err)
	}
}

func TestRoundRobin(t *testing.T) {
	servers := []string{"a", "b", "c"}
	starts := make(map[string]bool)
	for range 200 { // some start is missed once in 10³⁴ runs
		d := NewMultiServerDiscovery(servers)
		var round []string
		for range 6 {
			addr, _ := d.Get(RoundRobinSelect)
			round = append(round, addr)
		}
		starts[round[0]] = true
		at := slices.Index(servers, round[0])
		for i, addr := range round {
			if want := servers[(at+i)%3]; addr != want {
				t.Fatalf("the round is %v", round)
			}
		}
	}
	if len(starts) != 3 {
		t.Errorf("rounds start with %v only", starts)
	}
}

func TestRandomSelect(t *testing.T) {
	d := NewMultiServerDiscovery([]string{"a", "b", "c"})
	count := make(map[string]int)
	for range 3000 {
		addr, _ := d.Get(RandomSelect)
		count[addr]++
	}
	for _, addr := range []string{"a", "b", "c"} { // 1000 ± 7.7 standard deviations
		if n := count[addr]; n < 800 || n > 1200 {
			t.Errorf("%s was picked %d times of 3000", addr, n)
		}
	}
}

// TestF66_ListChangesInTheMiddle: whatever is picked is or was in the list.
func TestF66_ListChangesInTheMiddle(t *testing.T) {
	d := NewMultiServerDiscovery([]string{"tcp@s0"})
	stop := make(chan struct{})
	var updates, readers sync.WaitGroup
	updates.Go(func() {
		for n := 0; ; n = (n + 1) % 5 {
			var list []string
			for i := range n {
				list = append(list, fmt.Sprint("tcp@s", i))
			}
			if err := d.Update(list); err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range 4 {
		readers.Go(func() {
			for range 2000 {
				addr, err := d.Get(SelectMode(i % 2))
				if err != nil && !errors.Is(err, errNoServers) || err == nil && !strings.HasPrefix(addr, "tcp@s") {
					t.Errorf("%q, %v", addr, err)
				}
				d.GetAll()
			}
		})
	}
	readers.Wait()
	close(stop)
	updates.Wait()
}

func TestA33_SetEndpointsCopies(t *testing.T) {
	mine := []Endpoint{{Addr: "tcp@a:1", Weight: 3, Services: []string{"S"}, Metadata: map[string]string{"zone": "x"}, Legacy: true}}
	d, err := NewEndpoints(mine)
	if err != nil {
		t.Fatal(err)
	}
	mine[0].Addr, mine[0].Services[0], mine[0].Metadata["zone"] = "tcp@evil:1", "Evil", "evil"
	want := Endpoint{Addr: "tcp@a:1", Weight: 3, Services: []string{"S"}, Metadata: map[string]string{"zone": "x"}, Legacy: true}
	if l, err := d.List(context.Background()); err != nil || len(l.Endpoints) != 1 || !sameEndpoint(l.Endpoints[0], want) {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestSetEndpointsRefuses(t *testing.T) {
	for _, c := range []struct{ name, addr, want string }{
		{"an address that is there already", "tcp@a:1", `"tcp@a:1"`},
		{"no address", "", `""`},
		{"no protocol", "b:2", `"b:2"`},
		{"a comma and a line break", "tcp@b:2,\n", `"tcp@b:2,\n"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := []Endpoint{{Addr: "tcp@a:1"}, {Addr: c.addr}}
			d := NewMultiServerDiscovery([]string{"tcp@good:1"})
			err := d.SetEndpoints(bad)
			wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
			if !strings.Contains(err.Error(), c.want) || all(d) != "tcp@good:1" {
				t.Errorf("%v; the list is %s", err, all(d))
			}
			if _, err := NewEndpoints(bad); err == nil {
				t.Error("NewEndpoints takes it")
			}
		})
	}
}

// TestListStaysTheSame: who sees the same pointer may trust that nothing has
// changed, and who sees another one may not think that much has.
func TestListStaysTheSame(t *testing.T) {
	full := func() []Endpoint {
		return []Endpoint{{Addr: "tcp@a:1", Weight: 2, Services: []string{"S"}, Metadata: map[string]string{"k": "v"}}, {Addr: "tcp@b:2"}}
	}
	change := func(f func(e *Endpoint)) []Endpoint {
		list := full()
		f(&list[0])
		return list
	}
	for _, c := range []struct {
		name string
		next []Endpoint
		same bool
	}{
		{"nothing", full(), true},
		{"address", change(func(e *Endpoint) { e.Addr = "tcp@c:3" }), false},
		{"weight", change(func(e *Endpoint) { e.Weight = 1 }), false},
		{"services", change(func(e *Endpoint) { e.Services = []string{"T"} }), false},
		{"metadata", change(func(e *Endpoint) { e.Metadata = map[string]string{"k": "w"} }), false},
		{"legacy", change(func(e *Endpoint) { e.Legacy = true }), false},
		{"one less", full()[:1], false},
		{"none", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := NewEndpoints(full())
			before, _ := d.List(context.Background())
			if err := d.SetEndpoints(c.next); err != nil {
				t.Fatal(err)
			}
			after, _ := d.List(context.Background())
			if same := before == after; same != c.same {
				t.Errorf("same list: %v, want %v", same, c.same)
			}
		})
	}
}

func TestUpdateRepeatsNobody(t *testing.T) {
	d := NewMultiServerDiscovery([]string{"tcp@b:2", "tcp@a:1", "tcp@b:2"})
	if got := all(d); got != "tcp@b:2,tcp@a:1" {
		t.Error(got)
	}
}

func TestZeroMultiServersDiscovery(t *testing.T) {
	var d MultiServersDiscovery
	if l, err := d.List(context.Background()); l == nil || len(l.Endpoints) != 0 || err != nil {
		t.Fatal(l, err)
	}
	d.Update([]string{"tcp@a:1"})
	if got := all(&d); got != "tcp@a:1" {
		t.Error(got)
	}
}

// TestF66_RoundsStayFair: with servers that come and go all the time, those
// that stay get their share.
func TestF66_RoundsStayFair(t *testing.T) {
	d := NewMultiServerDiscovery(nil)
	count := make(map[string]int)
	for i := range 3000 {
		if i%7 == 0 {
			list := []string{"tcp@s0", "tcp@s1", "tcp@s2", "tcp@s3"}
			if i%2 == 0 {
				list = append(list, "tcp@guest")
			}
			d.Update(list)
		}
		addr, err := d.Get(RoundRobinSelect)
		if err != nil {
			t.Fatal(err)
		}
		count[addr]++
	}
	for _, addr := range []string{"tcp@s0", "tcp@s1", "tcp@s2", "tcp@s3"} {
		if n := count[addr]; n < 550 || n > 800 { // between a fifth and a fourth, and some
			t.Errorf("%s was picked %d times: %v", addr, n, count)
		}
	}
}

// A Discovery that was only ever made to Get keeps its connections.
func TestGetAllThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(getOnly{NewMultiServerDiscovery([]string{w.start("a")})})
		for range 10 {
			name(t, xc)
			time.Sleep(sweepInterval)
		}
		if n := w.dialed("a"); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

type getOnly struct{ Discovery }

func (getOnly) GetAll() ([]string, error) { return nil, nil }
