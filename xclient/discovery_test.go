package xclient

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

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
	d := NewMultiServerDiscovery([]string{"s0"})
	stop := make(chan struct{})
	var updates, readers sync.WaitGroup
	updates.Go(func() {
		for n := 0; ; n = (n + 1) % 5 {
			var list []string
			for i := range n {
				list = append(list, fmt.Sprint("s", i))
			}
			d.Update(list)
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
				if err != nil && !errors.Is(err, errNoServers) || err == nil && !strings.HasPrefix(addr, "s") {
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
