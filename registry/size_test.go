package registry

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

// fat is a registration of the most that a server may say of itself, in
// characters of which JSON makes six each.
func fat(r *GeeRegistry, addr string) *http.Response {
	return request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, addr, registryapi.VersionHeader, "1", registryapi.IntervalHeader, "10s",
		registryapi.MetadataHeader, "k="+strings.Repeat("<", maxMetadataBytes-2), registryapi.ServicesHeader, strings.Repeat("<", maxServicesBytes))
}

// TestF57_ListIsBounded: servers with much to say make no list that is more than
// callers read. Those that are in stay in, and there is room when some have gone.
func TestF57_ListIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		r.Grace = -1
		addr := func(i int) string { return fmt.Sprintf("tcp@10.0.0.1:%d", i) }
		in := 0
		for ; in < maxServers; in++ {
			if resp := fat(r, addr(in)); resp.StatusCode != http.StatusOK {
				text, _ := io.ReadAll(resp.Body)
				if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "more than 12 MiB") || resp.Header.Get("Retry-After") == "" {
					t.Errorf("%s: %s", resp.Status, text)
				}
				break
			}
		}
		checkListBytes(t, r)
		if resp := fat(r, addr(0)); resp.StatusCode != http.StatusOK {
			t.Errorf("a beat of one that is in: %s", resp.Status)
		}
		ask(r, http.MethodPost, addr(0), "10s") // has less to say
		if resp := fat(r, addr(in)); resp.StatusCode != http.StatusOK {
			t.Errorf("now there is room: %s", resp.Status)
		}
		if resp := fat(r, addr(0)); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one that is in has more to say: %s", resp.Status)
		}
		checkListBytes(t, r)
		ask(r, http.MethodDelete, addr(1), "")
		if resp := fat(r, addr(0)); resp.StatusCode != http.StatusOK {
			t.Errorf("one has left: %s", resp.Status)
		}
		checkListBytes(t, r)
		time.Sleep(time.Minute) // all expire
		if sum := checkListBytes(t, r); sum != 0 {
			t.Errorf("an empty list has %d bytes", sum)
		}
	})
}

// TestF57_MoreToSayOnAFullList: a server that has more to say than there is room
// for is refused, and stays on the list with what it said before.
func TestF57_MoreToSayOnAFullList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		r.Grace = -1
		put := func(services, interval string) int {
			return request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.IntervalHeader, interval, registryapi.VersionHeader, "1", registryapi.ServicesHeader, services).StatusCode
		}
		put("A", "10s")
		r.mu.Lock()
		others := registryapi.MaxListBytes - 1 - r.jsonBytes
		r.jsonBytes += others
		r.mu.Unlock()
		for range 6 {
			time.Sleep(20 * time.Second)
			if got := put("A,B", "20s"); got != http.StatusServiceUnavailable {
				t.Error(got)
			}
			l := r.Servers()
			if len(l) != 1 || l[0].Silent || !slices.Equal(l[0].Services, []string{"A"}) || !l[0].Since.Before(l[0].LastBeat) || len(l[0].instances) != 1 {
				t.Fatalf("%+v", l)
			}
		}
		time.Sleep(time.Minute)
		if l := r.Servers(); len(l) != 0 || r.jsonBytes != others {
			t.Errorf("%+v, %d bytes more", l, r.jsonBytes-others)
		}
	})
}

// checkListBytes compares the sum, which it returns, with the list as it is told.
func checkListBytes(t *testing.T, r *GeeRegistry) (sum int) {
	t.Helper()
	told := newCachedList(r.snapshot())
	r.mu.Lock()
	sum = r.jsonBytes
	r.mu.Unlock()
	if n := len(told.object); n > registryapi.MaxListBytes+100 || n > sum+100 || n < sum*99/100 {
		t.Errorf("%d servers have %d bytes in the list, %d in the sum", len(r.Servers()), n, sum)
	}
	return sum
}

// TestMeasure: no item is longer in the list than measured, whenever it is
// heard of, and silent or not.
func TestMeasure(t *testing.T) {
	s := &ServerItem{Addr: "tcp@a:1", Weight: maxWeight, Services: []string{"A<", "\u2028"}, Metadata: map[string]string{"ü": "\""}, Legacy: true}
	s.renew(time.Now(), time.Minute)
	most := s.maxJSONBytes()
	for _, nanos := range []time.Duration{0, 100, 123456789, 999999999} {
		s.renew(time.Unix(1e9, 0).Add(nanos), time.Minute)
		for _, s.Silent = range []bool{false, true} {
			empty := len(newCachedList([]ServerItem{}, 1).object)
			if n := len(newCachedList([]ServerItem{*s, *s}, 1).object) - empty; n > 2*most {
				t.Errorf("%d bytes for two, measured are %d for one", n, most)
			}
		}
	}
}
