package registry

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is servers that beat a registry every ten seconds, each at another
// moment.
type crowd struct {
	r       *GeeRegistry
	servers int
	cutOff  map[int]bool // whose beats are lost
}

func (c *crowd) addr(i int) string { return fmt.Sprintf("tcp@s%02d:1", i) }

// pass lets time go by.
func (c *crowd) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		for i := range c.servers {
			if !c.cutOff[i] && int(time.Now().Unix())%10 == i%10 {
				ask(c.r, http.MethodPost, c.addr(i), "10s")
			}
		}
	}
}

// cut loses the beats of servers from first to last.
func (c *crowd) cut(first, last int) {
	c.cutOff = make(map[int]bool)
	for i := first; i <= last; i++ {
		c.cutOff[i] = true
	}
}

// counts returns how many are listed, and how many of these are marked silent.
func (c *crowd) counts() string {
	silent := 0
	servers := c.r.Servers()
	for _, s := range servers {
		silent += count(s.Silent)
	}
	return fmt.Sprintf("%d, %d silent", len(servers), silent)
}

// TestF61_MostVanishAtOnce is about the grace for servers of which the
// registry hears nothing any more: those on the other side of a partition.
func TestF61_MostVanishAtOnce(t *testing.T) {
	type step struct {
		after time.Duration
		want  string
	}
	for _, c := range []struct {
		name    string
		servers int
		lost    int
		grace   time.Duration
		steps   []step
	}{
		{"all", 10, 10, 0, []step{{41 * time.Second, "10, 10 silent"}, {4 * time.Minute, "10, 10 silent"}, {2 * time.Minute, "0, 0 silent"}}},
		{"more than half", 10, 6, 0, []step{{41 * time.Second, "10, 6 silent"}, {6 * time.Minute, "4, 0 silent"}}},
		{"half", 10, 5, 0, []step{{42 * time.Second, "5, 0 silent"}}},
		{"two of two", 2, 2, 0, []step{{42 * time.Second, "0, 0 silent"}}},
		{"three of three", 3, 3, 0, []step{{42 * time.Second, "3, 3 silent"}}},
		{"switched off", 10, 10, -1, []step{{42 * time.Second, "0, 0 silent"}}},
		{"a minute", 10, 10, time.Minute, []step{{75 * time.Second, "10, 10 silent"}, {30 * time.Second, "0, 0 silent"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				servers := &crowd{r: New(time.Minute), servers: c.servers}
				servers.r.Grace = c.grace
				servers.pass(time.Minute)
				servers.cut(0, c.lost-1)
				for _, s := range c.steps {
					servers.pass(s.after)
					if got := servers.counts(); got != s.want {
						t.Fatalf("after another %s: %s, want %s", s.after, got, s.want)
					}
				}
			})
		})
	}
}

// TestF61_AllComeBack: nobody is dropped while some are back and others on
// their way, the index tells of each change, and one that leaves is gone.
func TestF61_AllComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		servers := &crowd{r: New(time.Minute), servers: 10}
		servers.r.Logger = slog.New(slog.NewTextHandler(&logged, nil))
		servers.pass(time.Minute)
		servers.cut(0, 9)
		before := indexOf(servers.r)
		servers.pass(time.Minute)
		if indexOf(servers.r) == before {
			t.Error("that they are silent is not told")
		}
		servers.r.deregister(servers.addr(3), "")
		if got := servers.counts(); got != "9, 9 silent" {
			t.Errorf("one has left: %s", got)
		}
		servers.cut(3, 3) // the others beat within ten seconds
		for range 10 {
			servers.pass(time.Second)
			if n := len(servers.r.Servers()); n != 9 {
				t.Fatalf("while they come back there are %d", n)
			}
		}
		if got := servers.counts(); got != "9, 0 silent" {
			t.Errorf("all are back: %s", got)
		}
		// And then a single one dies as ever.
		servers.pass(graceAfterRecovery)
		servers.cut(3, 4)
		servers.pass(42 * time.Second)
		if got := servers.counts(); got != "8, 0 silent" {
			t.Errorf("one has died: %s", got)
		}
		synctest.Wait() // the sweep has logged
		for _, want := range []string{"server registered", "fallen silent at once", "server left", "server expired"} {
			if !strings.Contains(logged.String(), want) {
				t.Errorf("the log does not say %q", want)
			}
		}
	})
}

// TestNoTimerWithoutServers: sweeps end when there is nobody to expire, and
// begin again.
func TestNoTimerWithoutServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		for range 2 {
			ask(r, http.MethodPost, "tcp@a:1", "1s")
			if !isSweeping(r) {
				t.Error("nobody looks")
			}
			time.Sleep(5 * time.Second)
			if list(r) != "" || isSweeping(r) {
				t.Errorf("list %q, sweeping: %v", list(r), isSweeping(r))
			}
		}
		forever := New(0)
		ask(forever, http.MethodPost, "tcp@a:1", "1s")
		if isSweeping(forever) {
			t.Error("a registry that never expires anybody looks all the same")
		}
	})
}

func isSweeping(r *GeeRegistry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sweeping
}
