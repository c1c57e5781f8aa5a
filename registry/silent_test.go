package registry

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestF215_TTL: the list has for how long a server is kept.
func TestF215_TTL(t *testing.T) {
	for _, c := range []struct {
		timeout  time.Duration
		interval string
		want     time.Duration
	}{
		{5 * time.Minute, "", 5 * time.Minute},
		{5 * time.Minute, "10s", 30 * time.Second},
		{5 * time.Minute, "4m", 12 * time.Minute},
		{0, "", 0},
		{-1, "", 0},
		{0, "10s", 30 * time.Second},
	} {
		r := New(c.timeout)
		ask(r, http.MethodPost, "tcp@a:1", c.interval)
		if got := getList(t, r).Servers[0].TTL; got != c.want {
			t.Errorf("timeout %s, interval %q: %s, want %s", c.timeout, c.interval, got, c.want)
		}
		index := indexOf(r)
		if ask(r, http.MethodPost, "tcp@a:1", "7s"); indexOf(r) == index {
			t.Error("another interval is no news")
		}
	}
}

// TestF220_MissedBeats: a server that dies without a word is marked silent
// while it is still on the list, also when it dies alone; one beat of it is
// enough to make it well again.
func TestF220_MissedBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := &crowd{r: New(time.Minute), servers: 10}
		servers.pass(time.Minute)
		servers.cut(3, 3)
		for _, s := range []struct {
			after time.Duration
			want  string
		}{{4 * time.Second, "10, 0 silent"}, {13 * time.Second, "10, 1 silent"}} {
			servers.pass(s.after)
			if got := servers.counts(); got != s.want {
				t.Errorf("%s, want %s", got, s.want)
			}
		}
		index := indexOf(servers.r)
		servers.pass(time.Second)
		if indexOf(servers.r) != index {
			t.Error("the list goes on changing")
		}
		servers.cut(0, -1)
		servers.pass(10 * time.Second)
		if got := servers.counts(); got != "10, 0 silent" || indexOf(servers.r) == index {
			t.Errorf("it beats again: %s", got)
		}
	})
}
