package xclient

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

// FuzzAnswer: whatever a registry says, what is taken from it are addresses
// that can be dialled, each once.
func FuzzAnswer(f *testing.F) {
	f.Add("application/json", "", `{"index":1763709154000000000,"servers":[{"addr":"tcp@a:1","weight":3,"services":["S"],"metadata":{"zone":"x"},"legacy":true,"since":"2026-01-02T03:04:05Z","last_beat":"2026-01-02T03:04:05Z","silent":true},{"addr":"tcp@a:1"}]}`)
	f.Add("application/json; charset=utf-8", "tcp@a:1", `{"index":1,"servers":null}`)
	f.Add("application/json", "", `{"index":-1,"servers":[{"addr":"x"},{},null]}`)
	f.Add("application/json", "", `[`)
	f.Add("", "tcp@a:1, tcp@b:2,,tcp@a:1", "")
	f.Add("text/html", "", "<html>")
	f.Fuzz(func(t *testing.T, kind, list, body string) {
		h := make(http.Header)
		h.Set("Content-Type", kind)
		if list != "" {
			h.Set(registryapi.ServersHeader, list)
		}
		a, err := parseAnswer(&http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(body))})
		if err != nil && (a.Index != 0 || a.Servers != nil) {
			t.Errorf("%+v comes with the error %v", a, err)
		}
		seen := make(map[string]bool)
		for _, e := range a.Servers {
			if !registryapi.Dialable(e.Addr) || seen[e.Addr] {
				t.Errorf("bad or repeated address %q", e.Addr)
			}
			seen[e.Addr] = true
		}
	})
}

// TestA27_JSONAddresses: the rest of a list is good though some of it is not,
// and what the registry says for operators is no trouble.
func TestA27_JSONAddresses(t *testing.T) {
	a, err := parseJSON(strings.NewReader(`{"index": 18446744073709551615, "more": [{}], "servers": [
		{"addr": "tcp@a:1", "weight": 2, "services": ["S", "T"], "metadata": {"k": "v,w"}, "since": "2026-01-02T03:04:05Z", "silent": true},
		{"addr": ""}, {"addr": "tcp@b:2\r\nX-Evil: 1"}, {"addr": "tcp@c 3"}, {"addr": "nonsense"}, {}, null,
		{"addr": "tcp@a:1", "weight": 9},
		{"addr": "unix@/run/d.sock", "legacy": true}]}`))
	want := []Endpoint{
		{Addr: "tcp@a:1", Weight: 2, Services: []string{"S", "T"}, Metadata: map[string]string{"k": "v,w"}, Silent: true},
		{Addr: "unix@/run/d.sock", Legacy: true},
	}
	if err != nil || a.Index != 1<<64-1 || len(a.Servers) != 2 || !sameEndpoint(a.Servers[0], want[0]) || !sameEndpoint(a.Servers[1], want[1]) {
		t.Errorf("%+v, %v", a, err)
	}
}

// Two registries behind one name, of which now one answers and now the other,
// look like one that is started anew each time, and answer each watch at once.
// They are asked less and less often.
func TestWatch_TwoBehindOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		d := NewGeeRegistryDiscovery("http://registry/", 0)
		d.client.Transport = roundTripper(func(*http.Request) (*http.Response, error) {
			asked++
			body := fmt.Sprintf(`{"index": %d, "servers": [{"addr": "tcp@a:1"}]}`, 1+uint64(asked%2)*1e9)
			resp := response(http.StatusOK, http.Header{"Content-Type": {"application/json"}})
			resp.Body = io.NopCloser(strings.NewReader(body))
			return resp, nil
		})
		for range 60 {
			if _, err := d.Get(RandomSelect); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		d.Close()
		if asked > 25 {
			t.Errorf("asked %d times in a minute", asked)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestF216_OutdatedAnswer: a list from before is no news, and not that of a
// registry which was started anew.
func TestF216_OutdatedAnswer(t *testing.T) {
	now := time.Now()
	s := new(source)
	for _, c := range []struct {
		index     uint64
		list      string
		want      string
		kept      int
		wantIndex uint64
	}{
		{5e9 + 7, "tcp@a:1,tcp@b:1", "tcp@a:1,tcp@b:1", 0, 5e9 + 7},
		{5e9, "tcp@old:1", "tcp@a:1,tcp@b:1", 0, 5e9 + 7},
		{5e9 + 8, "tcp@a:1", "tcp@a:1", 0, 5e9 + 8},
		{9e9, "", "", 1, 9e9},
		{5e9, "tcp@c:1", "tcp@c:1", 1, 5e9},
	} {
		s.fail(io.EOF, now)
		s.take(answer{Index: c.index, Servers: parseServers(c.list)}, now)
		if got := addrs(s.servers); got != c.want || len(s.kept) != c.kept || s.index != c.wantIndex || s.err != nil {
			t.Errorf("after %q of index %d: %q, %d kept, index %d, %v", c.list, c.index, got, len(s.kept), s.index, s.err)
		}
	}
}

// A registry that restarts again and again, or two that take turns behind one
// name, keep nobody on the list for longer than the grace time.
func TestF58_RegistryRestartsForEver(t *testing.T) {
	var s source
	now := time.Now()
	for i := range 200 {
		s.take(answer{Index: 1 + uint64(i%2)*1e12, Servers: []Endpoint{{Addr: fmt.Sprintf("tcp@s%d:1", i)}}}, now)
		now = now.Add(2 * time.Second)
	}
	if n, most := len(s.keptAt(now)), int(graceTime/(2*time.Second)); n == 0 || n > most {
		t.Errorf("%d servers are kept, want up to %d", n, most)
	}
}
