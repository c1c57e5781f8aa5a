package xclient

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/xclient/internal/clientpage"
)

// loadDebug asks an XClient's debug page.
func loadDebug(t testing.TB, xc *XClient, query, accept string) *httptest.ResponseRecorder {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // after the first of the events
	req := httptest.NewRequest(http.MethodGet, "/"+query, nil).WithContext(ctx)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	xc.DebugHandler().ServeHTTP(rec, req)
	return rec
}

func debugOf(t testing.TB, xc *XClient) (info clientpage.Info) {
	t.Helper()
	if err := json.Unmarshal(loadDebug(t, xc, "?format=json", "").Body.Bytes(), &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// visible returns the text of a page.
func visible(source string) string {
	_, body, _ := strings.Cut(source, "<body>")
	body, _, _ = strings.Cut(body, "<script>")
	return html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, ""))
}

// TestDebug_Servers: the page has the state of each server, and why, the worst first.
func TestDebug_Servers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		actors, addrs := cast(t, w, 4)
		d, err := NewEndpoints([]Endpoint{{Addr: addrs[0]}, {Addr: addrs[1], Weight: 12, Services: []string{"Stage"}, Metadata: map[string]string{"zone": "b"}},
			{Addr: addrs[2]}, {Addr: addrs[3]}, {Addr: "pipe@nobody", Silent: true}})
		if err != nil {
			t.Fatal(err)
		}
		xc := New(d, Config{Balancer: RoundRobin(), Option: &geerpc.Option{Dialer: w.DialContext}})
		defer xc.Close()
		if text := visible(loadDebug(t, xc, "", "text/html").Body.String()); !strings.Contains(text, "no call has been made yet") {
			t.Errorf("before the first call:\n%s", text)
		}
		actors[0].plays(hangs)
		for range 40 {
			xc.Call(mustEnd(t, 100*time.Millisecond), "Stage.Play", 0, nil)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		text := visible(loadDebug(t, xc, "", "text/html").Body.String())
		ejected, ready := strings.Index(text, addrs[0]+"\nejected"), strings.Index(text, addrs[1]+" Stage · zone=b \nready")
		if ejected < 0 || ready < ejected {
			t.Errorf("not the ejected one first on\n%s", text)
		}
		for _, want := range []string{"5 failures in a row for ", "pipe@nobody silent", "Servers ready3 of 5", "RoundRobin", "*xclient.MultiServersDiscovery"} {
			if !strings.Contains(strings.ReplaceAll(text, "roundRobin", "RoundRobin"), want) {
				t.Errorf("no %q on\n%s", want, text)
			}
		}
		table := loadDebug(t, xc, "", "*/*")
		if got := table.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" || !regexp.MustCompile(`(?m)^pipe@\w+ +ejected .* 5 failures in a row, for [\d.]+ s more$`).MatchString(table.Body.String()) {
			t.Errorf("as text, %s, it is\n%s", got, table.Body)
		}
		shares := 0.0
		for _, s := range debugOf(t, xc).Servers {
			shares += s.Share
			if (s.Until != nil) != (s.State == string(StateEjected)) || s.State == string(StateReady) && (s.Share < 0.2 || s.Calls == 0) {
				t.Errorf("%+v", s)
			}
		}
		if shares < 0.999 || shares > 1.001 {
			t.Errorf("the shares are %f of all", shares)
		}
	})
}

// TestDebug_Errors: a server all of whose methods fail is ready, for what a method says is
// no failure of the server. The page says who answers with which errors.
func TestDebug_Errors(t *testing.T) {
	w := newWorld(t)
	actors, addrs := cast(t, w, 2)
	actors[0].plays(takes(0))
	actors[1].plays(fails(geerpc.CodeUnavailable))
	xc := w.client(NewMultiServerDiscovery(addrs))
	defer xc.Close()
	for range 20 {
		if err := callAt(xc, addrs[0], "Stage.Play"); err != nil {
			t.Fatal(err)
		}
		if err := callAt(xc, addrs[1], "Stage.Play"); geerpc.CodeOf(err) != geerpc.CodeUnavailable {
			t.Fatal(err)
		}
	}
	good, bad := xc.Servers()[0], xc.Servers()[1]
	if good.ErrorsByCode != nil || !maps.Equal(bad.ErrorsByCode, map[geerpc.Code]int{geerpc.CodeUnavailable: 20}) || bad.State != StateReady || bad.Failures != 0 {
		t.Errorf("%+v\n%+v", good, bad)
	}
	if servers := debugOf(t, xc).Servers; servers[0].MostlyErrors || !servers[1].MostlyErrors || servers[1].ErrorsByCode["unavailable"] != 20 {
		t.Errorf("%+v", servers)
	}
	source := loadDebug(t, xc, "", "text/html").Body.String()
	text := visible(source)
	if at := strings.Index(text, addrs[1]); at < 0 || at > strings.Index(text, addrs[0]) || !strings.Contains(text, "Errors of the last ten seconds: 20 unavailable") ||
		!strings.Contains(source, `<span class="state warn">ready</span>`) {
		t.Errorf("the page is\n%s", text)
	}
	if text := loadDebug(t, xc, "?format=text", "").Body.String(); !strings.Contains(text, "20 unavailable") || !strings.Contains(text, "\n! Most calls end with errors of the server on 1 of 2 ready servers") {
		t.Errorf("the text is\n%s", text)
	}
}

// TestDebug_Left: a server that dies and leaves the list is on the page, with its last
// state, until it is back. So are the last 20.
func TestDebug_Left(t *testing.T) {
	w := newWorld(t)
	a := w.start("a")
	d := NewMultiServerDiscovery([]string{a, "pipe@dead"})
	xc := w.client(d)
	defer xc.Close()
	callAt(xc, "pipe@dead", "Work.Name")
	d.Update([]string{a})
	name(t, xc)
	left := debugOf(t, xc).Left
	if len(left) != 1 || left[0].Addr != "pipe@dead" || left[0].State != string(StateDown) || !strings.Contains(left[0].Why, "no such host") {
		t.Errorf("%+v", left)
	}
	for _, format := range []string{"html", "text"} {
		if body := loadDebug(t, xc, "?format="+format, "").Body.String(); !strings.Contains(body, "pipe@dead") || !strings.Contains(body, "no such host") {
			t.Errorf("no trace of it in\n%s", body)
		}
	}
	d.Update([]string{a, "pipe@dead"})
	name(t, xc)
	if left := debugOf(t, xc).Left; len(left) != 0 {
		t.Errorf("it is back: %+v", left)
	}
	many := []string{a}
	for i := range 30 {
		many = append(many, fmt.Sprint("pipe@x", i))
	}
	d.Update(many)
	name(t, xc)
	d.Update([]string{a})
	name(t, xc)
	if n := len(debugOf(t, xc).Left); n != maxDeparted {
		t.Errorf("%d are remembered", n)
	}
}

// The field names are a promise; DebugHandler documents them.
func TestDebug_JSONFields(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	defer xc.Close()
	name(t, xc)
	for _, rec := range []*httptest.ResponseRecorder{loadDebug(t, xc, "?format=json", "text/html"), loadDebug(t, xc, "", "application/json")} {
		if got := rec.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %q", got)
		}
		var v map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		wantFields(t, v, "discovery hedges hints in_flight left now process retries servers settings state uptime_seconds")
		wantFields(t, v["process"], "build go host pid program")
		wantFields(t, v["discovery"], "registries type")
		wantFields(t, v["retries"], "left made refused")
		wantFields(t, v["servers"].([]any)[0], "addr answers calls connections errors_by_code failures failures_in_a_row in_flight latency_seconds legacy metadata mostly_errors recent_calls "+
			"services share silent state unanswered_seconds until weight why")
		wantFields(t, v["settings"].([]any)[0], "default name value")
		if n := strings.Count(rec.Body.String(), "null"); n != 1 || v["servers"].([]any)[0].(map[string]any)["until"] != nil {
			t.Errorf("%d fields are null: %s", n, rec.Body)
		}
	}
	text, err := json.Marshal(clientpage.Registry{})
	var registry map[string]any
	if err == nil {
		err = json.Unmarshal(text, &registry)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantFields(t, registry, "age_seconds error failing_seconds servers servers_kept state url")
}

func wantFields(t *testing.T, v any, want string) {
	t.Helper()
	if got := strings.Join(slices.Sorted(maps.Keys(v.(map[string]any))), " "); got != want {
		t.Errorf("fields are %s, want %s", got, want)
	}
}

// TestDebug_Registries: which of them answer, what the others say, and no password.
func TestDebug_Registries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		d := NewGeeRegistryDiscovery("http://me:secret@good/r,http://bad/r,nonsense", 0)
		d.client.Transport = &r
		r.answers(func(req *http.Request) (*http.Response, error) {
			if req.URL.Host == "bad" {
				return nil, errors.New("<b>broken</b>")
			}
			return response(http.StatusOK, http.Header{"X-Geerpc-Servers": {"pipe@a,pipe@b"}}), nil
		})
		xc := newWorld(t).client(d)
		defer xc.Close()
		states := func() (states []string) {
			for _, r := range debugOf(t, xc).Discovery.Registries {
				states = append(states, r.State)
			}
			return states
		}
		if got := states(); !slices.Equal(got, []string{"not asked yet", "not asked yet", "never asked"}) {
			t.Errorf("before the first call: %q", got)
		}
		xc.Call(mustEnd(t, time.Second), "Work.Name", 0, nil)
		time.Sleep(3 * time.Second)
		if got := states(); !slices.Equal(got, []string{"polled", "fails", "never asked"}) {
			t.Errorf("then: %q", got)
		}
		source := loadDebug(t, xc, "", "text/html").Body.String()
		text := visible(source)
		for _, want := range []string{"2 of 3 registries give no good answer", "http://me:xxxxx@good/r", "<b>broken</b>", "for 3.", "the registry \"nonsense\""} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q on\n%s", want, text)
			}
		}
		for _, body := range []string{source, loadDebug(t, xc, "?format=json", "").Body.String(), loadDebug(t, xc, "?format=text", "").Body.String()} {
			if strings.Contains(body, "secret") {
				t.Error("the password is there")
			}
		}
		time.Sleep(2 * time.Minute)
		if got := states(); got[0] != "asleep" {
			t.Errorf("without calls: %q", got)
		}
		d.Close()
	})
}

// TestDebug_Settings are those in force.
func TestDebug_Settings(t *testing.T) {
	d := NewMultiServerDiscovery(nil)
	for _, c := range []struct {
		name string
		xc   *XClient
		want string // the first settings
	}{
		{"defaults", New(d, Config{}), `Balancer: xclient.leastLoaded (default)
Timeout: none (default)
AttemptTimeout: none (default)
Retry: 3 attempts, pauses from 50ms to 1s, 20 % of the calls (default)
Hedge: off (default)
Ejection: after 5 failures in a row or 5s without an answer, for 5s to 5m0s (default)
Connections: 1 to each server (default)
Subset: all servers (default)
IdleTimeout: none (default)`},
		{"others", New(d, Config{Balancer: Random(), Timeout: time.Second, AttemptTimeout: time.Millisecond, Retry: Retry{MaxAttempts: 5, Budget: -1, MaxBackoff: -1},
			Hedge: Hedge{Delay: time.Second}, Ejection: Ejection{Silence: -1}, Connections: 2, Subset: 20, ClientID: "c", Option: &geerpc.Option{Token: "s3cret"}}), `Balancer: xclient.random
Timeout: 1s
AttemptTimeout: 1ms
Retry: 5 attempts, pauses from 50ms to no limit, no budget
Hedge: 2 attempts, each 1s after the one before
Ejection: after 5 failures in a row, for 5s to 5m0s
Connections: 2 to each server
Subset: 20 servers, as ClientID "c"
IdleTimeout: 5m0s (default)`},
		{"off", New(failingDiscovery{d}, Config{Retry: Retry{MaxAttempts: 1}, Ejection: Ejection{Failures: -1}}), `Balancer: the Discovery's Get (default)
Timeout: none (default)
AttemptTimeout: none (default)
Retry: off
Hedge: off (default)
Ejection: off`},
	} {
		defer c.xc.Close()
		got := ""
		for _, s := range debugOf(t, c.xc).Settings {
			got += s.Name + ": " + s.Value
			if s.Default {
				got += " (default)"
			}
			got += "\n"
		}
		if !strings.HasPrefix(got, c.want+"\n") {
			t.Errorf("%s: the settings are\n%s", c.name, got)
		}
		if want := "Option.CodecType: application/gob (default)\n"; !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", c.name, want, got)
		}
		if strings.Contains(got, "s3cret") || strings.Contains(got, "Option.Token: set\n") != (c.name == "others") {
			t.Errorf("%s: the token in\n%s", c.name, got)
		}
	}
}

// TestDebug_NoConnectTimeout: the page says in each form what may happen, and what to set,
// unless there is a limit.
func TestDebug_NoConnectTimeout(t *testing.T) {
	const want = "There is no Option.ConnectTimeout: "
	for _, c := range []struct {
		name string
		opt  *geerpc.Option
		says bool
	}{
		{"no Option", nil, false},
		{"a copy of DefaultOption", func() *geerpc.Option { opt := *geerpc.DefaultOption; return &opt }(), false},
		{"an Option with a limit", &geerpc.Option{ConnectTimeout: time.Hour}, false},
		{"an Option without the field", &geerpc.Option{}, true},
		{"a negative one", &geerpc.Option{ConnectTimeout: -1}, true},
	} {
		xc := New(NewMultiServerDiscovery(nil), Config{Option: c.opt})
		defer xc.Close()
		for _, format := range []string{"html", "text", "json"} {
			body := loadDebug(t, xc, "?format="+format, "").Body.String()
			if strings.Contains(body, want) != c.says || strings.Contains(body, "Set it, for example to 10s") != c.says {
				t.Errorf("%s, %s:\n%s", c.name, format, body)
			}
		}
		if c.opt == nil && debugOf(t, xc).Hints == nil {
			t.Error("in JSON there is null in place of no hints")
		}
	}
}

// TestDebug_StatesOfTheClient, of which the page tells until the end and after it.
func TestDebug_StatesOfTheClient(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	name(t, xc)
	call := xc.Go("Work.Wait", 0, new(string), nil)
	eventually(t, "the call is under way", func() bool { return w.host("a").work.calls.Load() == 2 })
	if info := debugOf(t, xc); info.State != "open" || info.InFlight != 1 || info.Servers[0].InFlight != 1 {
		t.Errorf("%+v", info)
	}
	done := make(chan error, 1)
	go func() { done <- xc.Shutdown(context.Background()) }() // ends with the call
	eventually(t, "it drains", func() bool { return debugOf(t, xc).State == "draining" })
	close(w.host("a").work.gate)
	<-call.Done
	if err := <-done; err != nil {
		t.Error(err)
	}
	if info := debugOf(t, xc); info.State != "closed" || len(info.Servers) != 0 {
		t.Errorf("%+v", info)
	}
}

func TestDebug_Formats(t *testing.T) {
	xc := New(NewMultiServerDiscovery(nil), Config{Retry: Retry{Budget: -1}})
	defer xc.Close()
	if xc.DebugHandler() != xc.DebugHandler() {
		t.Error("the handlers of one XClient differ")
	}
	rec := loadDebug(t, xc, "", "text/html")
	policy, source := rec.Header().Get("Content-Security-Policy"), rec.Body.String()
	for _, element := range []string{"style", "script"} { // the only ones, which the policy allows
		before, rest, _ := strings.Cut(source, "<"+element+">")
		text, after, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		if allowed := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, allowed) || len(text) < 1000 {
			t.Errorf("the policy %q does not allow %s", policy, allowed)
		}
		source = before + after
	}
	if bad := regexp.MustCompile(`(?i)<script|<link|<img|<form|\sstyle=|\son\w+=|url\(|@import|<style`).FindString(source); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	for query, want := range map[string]string{"?format=text": "no limit", "?format=json": `"left": null`, "?format=events": "data: <!DOCTYPE html>"} {
		rec := loadDebug(t, xc, query, "text/html")
		if rec.Code != http.StatusOK || strings.Count(rec.Body.String(), want) != 1 {
			t.Errorf("%s: %d, %s", query, rec.Code, rec.Body)
		}
	}
	if rec := loadDebug(t, xc, "?format=yaml", "text/html"); rec.Code != http.StatusBadRequest {
		t.Errorf("an unknown format: %d", rec.Code)
	}
}

// TestE51_WhatEndpointsSayIsText on the page of an XClient, in each form.
func TestE51_WhatEndpointsSayIsText(t *testing.T) {
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img/src=x/onerror=alert(1)>`, `</td><style>*{display:none}</style>`, `{{.State}}`, `'onmouseover='x`, "\x1b[2J",
	} {
		addr := "pipe@" + evil
		if strings.Contains(evil, "\x1b") {
			addr = "pipe@a" // SetEndpoints refuses it
		}
		d, err := NewEndpoints([]Endpoint{{Addr: addr, Services: []string{evil}, Metadata: map[string]string{evil: evil}}})
		if err != nil {
			t.Fatal(err)
		}
		xc := New(d, Config{Retry: Retry{MaxAttempts: 1}, Option: &geerpc.Option{Dialer: newWorld(t).DialContext}})
		xc.Call(context.Background(), evil+".Do", 0, nil)
		source := loadDebug(t, xc, "", "text/html").Body.String()
		if text := visible(source); strings.Count(text, evil) < 3 {
			t.Errorf("the page shows %q %d times\n%s", evil, strings.Count(text, evil), text)
		}
		if n := strings.Count(source, "<script") + strings.Count(source, "<img") + strings.Count(source, "<style"); n != 2 {
			t.Errorf("%q is on the page as it is", evil)
		}
		if body := loadDebug(t, xc, "?format=json", "").Body.String(); strings.ContainsAny(body, "<>\x1b") {
			t.Errorf("the JSON is %s", body)
		}
		if body := loadDebug(t, xc, "?format=text", "").Body.String(); strings.Contains(body, "\x1b") {
			t.Errorf("the text moves the cursor: %q", body)
		}
		xc.Close()
	}
}

// TestDebug_ManyServers: the page has some, JSON all.
func TestDebug_ManyServers(t *testing.T) {
	w := newWorld(t)
	addrs := []string{w.start("zzz")}
	for i := range 300 {
		addrs = append(addrs, fmt.Sprintf("pipe@s%03d", i))
	}
	xc := w.client(NewMultiServerDiscovery(addrs))
	defer xc.Close()
	if err := callAt(xc, "pipe@zzz", "Work.Name"); err != nil {
		t.Fatal(err)
	}
	xc.Call(context.Background(), "Work.Name", 0, nil)
	text := visible(loadDebug(t, xc, "", "text/html").Body.String())
	if n := strings.Count(text, "pipe@"); n < 200 || n > 410 || !strings.Contains(text, "pipe@zzz") || !strings.Contains(text, "101 more are not shown") {
		t.Errorf("the page has %d servers", n)
	}
	if n := len(debugOf(t, xc).Servers); n != 301 {
		t.Errorf("JSON has %d servers", n)
	}
}
