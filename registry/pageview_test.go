package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

// offerServices registers a server that says what it offers.
func offerServices(t *testing.T, r *GeeRegistry, addr, interval, services, weight string) {
	t.Helper()
	resp := request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, addr, registryapi.VersionHeader, "1",
		registryapi.IntervalHeader, interval, registryapi.ServicesHeader, services, registryapi.WeightHeader, weight)
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

var addresses = regexp.MustCompile(`tcp@\w+:1`)

// TestPage_Service: who serves a service, and with which share of the calls.
func TestPage_Service(t *testing.T) {
	r := New(0)
	offerServices(t, r, "tcp@a:1", "", "Arith,Clock", "3")
	offerServices(t, r, "tcp@b:1", "", "Clock", "1")
	offerServices(t, r, "tcp@c:1", "", "", "1")
	source, text := getPage(t, r, "?sort=weight")
	if !strings.Contains(text, "Clock 2") || !strings.Contains(text, "Arith 1") || !strings.Contains(source, `<a href="?service=Clock&amp;sort=weight">`) {
		t.Errorf("no list of services on\n%s", text)
	}
	_, text = getPage(t, r, "?service=Arith")
	if got := addresses.FindAllString(text, -1); !slices.Equal(got, []string{"tcp@a:1", "tcp@c:1"}) {
		t.Errorf("Arith is served by %v", got)
	}
	for _, want := range []string{"75.0 %", "25.0 %", "1 of 2 don't say what they serve"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on\n%s", want, text)
		}
	}
	r.deregister("tcp@c:1", "")
	if _, text := getPage(t, r, "?service=Other"); !strings.Contains(text, "No server offers it") {
		t.Errorf("an unknown service has\n%s", text)
	}
}

func TestPage_Orders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		offerServices(t, r, "tcp@d:1", "10s", "", "1")
		for i, addr := range []string{"tcp@c:1", "tcp@b:1", "tcp@a:1"} {
			time.Sleep(8 * time.Second)
			offerServices(t, r, addr, "20s", "", fmt.Sprint(i%2+1))
		}
		for sort, want := range map[string]string{
			"": "d a b c", "nonsense": "d a b c", "addr": "a b c d", "beat": "d c b a", "newest": "a b c d", "weight": "b a c d",
		} {
			_, text := getPage(t, r, "?sort="+sort)
			got := strings.NewReplacer("tcp@", "", ":1", "").Replace(strings.Join(addresses.FindAllString(text, -1), " "))
			if got != want {
				t.Errorf("sort %q: %s, want %s", sort, got, want)
			}
		}
	})
}

// TestPage_LateHeartbeats: late is measured against the interval that the server has
// announced.
func TestPage_LateHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		offerServices(t, r, "tcp@a:1", "10s", "", "1")
		ask(r, http.MethodPost, "tcp@b:1", "")
		for _, c := range []struct {
			sleep             time.Duration
			wanted, forbidden string
		}{
			{11 * time.Second, "11.0 s every 10.0 s", "late"},
			{2 * time.Second, "13.0 s late every 10.0 s", "silent forgotten"},
			{4 * time.Second, "tcp@a:1 silent forgotten in 13.0 s", "tcp@b:1 legacy silent"},
		} {
			time.Sleep(c.sleep)
			synctest.Wait()
			if _, text := getPage(t, r, ""); !strings.Contains(text, c.wanted) || strings.Contains(text, c.forbidden) {
				t.Errorf("no %q, or a %q, on\n%s", c.wanted, c.forbidden, text)
			}
		}
		time.Sleep(time.Hour)
	})
}

// TestPage_FooterIsTrue whatever the registry's settings are.
func TestPage_FooterIsTrue(t *testing.T) {
	const expires, noInterval, grace = "forgotten after three", "One that announces none is forgotten after 5 min 0 s", "kept for"
	for _, c := range []struct {
		name                string
		registry            *GeeRegistry
		interval            string
		expires, none, kept bool
	}{
		{"New(0)", New(0), "10s", false, false, false},
		{"all announce one", New(5 * time.Minute), "10s", true, false, true},
		{"one announces none", New(5 * time.Minute), "", true, true, true},
		{"no grace", &GeeRegistry{timeout: 5 * time.Minute, Grace: -1}, "10s", true, false, false},
	} {
		offerServices(t, c.registry, "tcp@a:1", c.interval, "", "1")
		_, text := getPage(t, c.registry, "")
		for want, there := range map[string]bool{expires: c.expires, noInterval: c.none, grace: c.kept, "No server expires here": !c.expires} {
			if strings.Contains(text, want) != there {
				t.Errorf("%s: %q is there: %v\n%s", c.name, want, !there, text)
			}
		}
	}
}

// TestPage_LeftLately: who has left, when and why, a few of them, for an hour.
func TestPage_LeftLately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		if _, text := getPage(t, r, ""); strings.Contains(text, "Left lately") {
			t.Error("somebody has left")
		}
		ask(r, http.MethodPost, "tcp@goodbye:1", "10s")
		ask(r, http.MethodDelete, "tcp@goodbye:1", "")
		ask(r, http.MethodPost, "tcp@silent:1", "10s")
		ask(r, http.MethodPost, "tcp@again:1", "")
		ask(r, http.MethodDelete, "tcp@again:1", "")
		ask(r, http.MethodPost, "tcp@again:1", "")
		for _, name := range []string{"one", "two"} {
			request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@restarted:1", registryapi.InstanceHeader, name)
		}
		request(r, http.MethodDelete, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@restarted:1", registryapi.InstanceHeader, "one")
		time.Sleep(32 * time.Second)
		_, text := getPage(t, r, "")
		_, text, _ = strings.Cut(text, "Left lately")
		for _, want := range []string{
			"tcp@goodbye:1said goodbye32.0 s ago", "tcp@silent:1sent no heartbeat in time", "tcp@again:1 listedsaid goodbye",
			"tcp@restarted:1 listeda process left; another one has its address32.0 s ago",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		time.Sleep(time.Hour)
		if _, text := getPage(t, r, ""); strings.Contains(text, "tcp@goodbye:1") {
			t.Error("an hour later it is still there")
		}
	})
}

// TestPage_ReplacedWithoutGoodbye: a process that crashed, and was started again at the same
// address, is noted once its time is over.
func TestPage_ReplacedWithoutGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		beat := func(name string) {
			request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", registryapi.IntervalHeader, "10s", registryapi.InstanceHeader, name)
		}
		beat("crashed")
		for range 5 {
			beat("next")
			time.Sleep(10 * time.Second)
		}
		if n := len(r.newSummary().Left); n != 1 {
			t.Errorf("%d departures", n)
		}
		time.Sleep(time.Hour)
	})
}

func TestDepartures_Limited(t *testing.T) {
	var d departures
	now := time.Now()
	for i := range 3 * maxDepartures {
		d.add(fmt.Sprint(i), saidGoodbye, now)
	}
	if list := d.lately(now); len(list) != maxDepartures || list[0].Addr != "59" || list[19].Addr != "40" {
		t.Errorf("%d, from %s", len(list), list[0].Addr)
	}
	d.add("50", wasSilent, now.Add(time.Minute)) // again
	if list := d.lately(now); len(list) != maxDepartures || list[0] != (departure{"50", now.Add(time.Minute), wasSilent, 2}) || list[19].Addr != "40" {
		t.Errorf("%d, from %+v", len(list), list[0])
	}
	d.add("50", wasSilent, now.Add(3*time.Hour))
	if list := d.lately(now.Add(3 * time.Hour)); len(list) != 1 || list[0].Times != 1 {
		t.Errorf("hours later: %+v", list)
	}
}

func TestPage_Formats(t *testing.T) {
	r := New(0)
	offerServices(t, r, "tcp@a:1", "", "Arith", "1")
	get := func(ctx context.Context, query, accept string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, "/"+query, nil).WithContext(ctx)
		req.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		return rec
	}
	const browser = "text/html,*/*;q=0.8"
	if rec := get(t.Context(), "?format=yaml", browser); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "html, table, text, json and events") {
		t.Errorf("an unknown format gets %d: %s", rec.Code, rec.Body)
	}
	rec := get(t.Context(), "?format=table", browser)
	if got := rec.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("the table is %s", got)
	}
	for _, want := range []string{"1 servers (0 legacy, 0 silent)", "0 of 16,384 watching", "tcp@a:1  ok "} {
		if text := rec.Body.String(); !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel() // after the first event
	for query, accept := range map[string]string{"?format=events&service=Arith": browser, "": "text/event-stream"} {
		rec := get(ended, query, accept)
		if body := rec.Body.String(); rec.Header().Get("Content-Type") != "text/event-stream" || strings.Count(body, "\n\n") != 1 || !strings.Contains(body, "tcp@a:1") {
			t.Errorf("%s: the events are %s", query, body)
		}
	}
}

// TestSharedSummary: streams share what they show, for a second.
func TestSharedSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(0)
		one := r.sharedSummary()
		ask(r, http.MethodPost, "tcp@a:1", "")
		if r.sharedSummary() != one || r.newSummary() == one {
			t.Error("not shared")
		}
		time.Sleep(time.Second)
		if two := r.sharedSummary(); two == one || two.Total != 1 {
			t.Error("it is outdated")
		}
	})
}

// TestPage_LongQueries: the links repeat the query, but not so that the answer is many times
// as long as the request.
func TestPage_LongQueries(t *testing.T) {
	r := New(0)
	for i := range 100 {
		offerServices(t, r, fmt.Sprintf("tcp@s%d:1", i), "", fmt.Sprint("S", i), "1")
	}
	ask(r, http.MethodPost, "tcp@any:1", "") // which gets calls for any service
	const long = 500 << 10
	for _, query := range []string{"?sort=", "?service=", "?from="} {
		if source, _ := getPage(t, r, query+strings.Repeat("x", long)); len(source) > long {
			t.Errorf("%s: %d bytes", query, len(source))
		}
	}
}

// TestPage_LongWords: the page cuts what a server says of itself, and lists a part of it.
func TestPage_LongWords(t *testing.T) {
	r := New(0)
	services := make([]string, maxServices)
	for i := range services {
		services[i] = fmt.Sprintf("S%02d%s", i, strings.Repeat("é", 38))
	}
	offerServices(t, r, "tcp@a:1", "", strings.Join(services[:90], ","), "1")
	source, text := getPage(t, r, "")
	if !strings.Contains(text, "S19"+strings.Repeat("é", 38)+" and 70 more") || strings.Contains(source, "S20"+strings.Repeat("é", 38)+"</code> <span") {
		t.Errorf("the page has\n%s", text)
	}
	offerServices(t, r, "tcp@a:1", "", "x"+strings.Repeat("é", 100), "1")
	source, text = getPage(t, r, "")
	if cut := "x" + strings.Repeat("é", 39) + "…"; strings.Count(text, cut) != 2 || strings.Contains(text, cut+"é") || strings.Contains(source, "?service=x") {
		t.Errorf("the page has\n%s", text)
	}
}
