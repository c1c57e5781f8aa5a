package geerpc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"geerpc/codec"
	"geerpc/internal/debugpage"
)

// loadDebug asks a server's debug handler, as accept says.
func loadDebug(t testing.TB, s *Server, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, target, nil)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	rec := httptest.NewRecorder()
	s.DebugHandler().ServeHTTP(rec, req)
	if rec.Code != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", target, rec.Code, rec.Body)
	}
	return rec
}

// A debugView is what the debug page shows.
type debugView struct{ debugpage.Info }

func debugCounts(calls, errors, inFlight int64) debugpage.Counts {
	return debugpage.Counts{Calls: calls, Errors: errors, InFlight: inFlight}
}

// debugOf returns what a server's debug page says, as a program reads it.
func debugOf(t testing.TB, s *Server) (info debugView) {
	t.Helper()
	if err := json.Unmarshal(loadDebug(t, s, "/?format=json", "").Body.Bytes(), &info.Info); err != nil {
		t.Fatal(err)
	}
	return info
}

// method returns the row of a method.
func (d *debugView) method(t testing.TB, service, name string) debugpage.Method {
	t.Helper()
	for _, s := range d.Services {
		for _, m := range s.Methods {
			if s.Name == service && m.Name == name {
				return m
			}
		}
	}
	t.Fatalf("no method %s.%s in %+v", service, name, d.Services)
	return debugpage.Method{}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// visible returns the text of a page.
func visible(page string) string {
	_, body, _ := strings.Cut(page, "<body>")
	return html.UnescapeString(tag.ReplaceAllString(body, ""))
}

// Shapes is a service with types of many forms.
type Shapes struct{}

func (Shapes) Zip(_ context.Context, _ map[string][]Args, _ *map[string]interface{}) error {
	return nil
}
func (Shapes) Area(_ *Args, _ *float64) error              { return nil }
func (Shapes) Inline(_ struct{ A int }, _ *[]*Reply) error { return nil }

func TestDebug_ServicesWithSignatures(t *testing.T) {
	s := NewServer()
	if err := s.Register(Shapes{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	double := func(_ context.Context, n int) (Reply, error) { return Reply{2 * n}, nil }
	if err := RegisterFunc(s, "Shapes.Double", double); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Arith",
		"Add(args geerpc.Args, reply *geerpc.Reply) error",
		"Block(ctx context.Context, args geerpc.Args, reply *geerpc.Reply) error",
		"Div(args *geerpc.Args, reply *geerpc.Reply) error",
		"Panic(args geerpc.Args, reply *geerpc.Reply) error",
		"Shapes",
		"Area(args *geerpc.Args, reply *float64) error",
		"Double(ctx context.Context, args int, reply *geerpc.Reply) error",
		"Inline(args struct { A int }, reply *[]*geerpc.Reply) error",
		"Zip(ctx context.Context, args map[string][]geerpc.Args, reply *map[string]any) error",
	}
	var got []string
	info := debugOf(t, s)
	for _, service := range info.Services {
		got = append(got, service.Name)
		for _, m := range service.Methods {
			got = append(got, m.Signature)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("services are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	page := html.UnescapeString(loadDebug(t, s, "/", "text/html").Body.String())
	for _, line := range want { // in this order
		_, rest, found := strings.Cut(page, line)
		if !found {
			t.Fatalf("page lacks %q, or has it earlier", line)
		}
		page = rest
	}
}

// The field names are a promise; DebugHandler documents them.
func TestDebug_JSONFields(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	e.dial(nil)
	for name, accept := range map[string]string{"query": "", "accept": "application/json", "list": "text/plain, application/json;q=0.9, */*"} {
		target := "/"
		if accept == "" {
			target = "/?format=json"
		}
		rec := loadDebug(t, e.Server, target, accept)
		if got := rec.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: content type %q", name, got)
		}
		var v map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
			t.Fatal(name, err)
		}
		wantFields(t, v, "calls connections errors goroutines hints in_flight last_day last_hour last_minute now refused running server services settings state unknown_calls uptime_seconds")
		wantFields(t, v["server"], "build go host listeners pid program")
		wantFields(t, v["last_hour"], "calls calls_per_second errors errors_by_code p50_seconds p90_seconds p999_seconds p99_seconds rate")
		service := v["services"].([]any)[0]
		wantFields(t, service, "methods name skipped")
		wantFields(t, service.(map[string]any)["methods"].([]any)[0], "calls errors in_flight last_day last_hour last_minute name samples signature")
		conns := v["connections"].(map[string]any)
		wantFields(t, conns, "handshaking limit list lost open rejected")
		wantFields(t, conns["list"].([]any)[0], "age_seconds calls codec compression draining events gone in_flight layout max_in_flight peer received_bytes sent_bytes tls")
	}
}

func wantFields(t *testing.T, v any, want string) {
	t.Helper()
	if got := strings.Join(slices.Sorted(maps.Keys(v.(map[string]any))), " "); got != want {
		t.Errorf("fields are %s, want %s", got, want)
	}
}

func TestDebug_PageForBrowsers(t *testing.T) {
	for name, c := range map[string]struct{ target, accept string }{
		"browser":    {"/", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"both":       {"/", "application/json, text/html"},
		"query wins": {"/?format=html", "application/json"},
	} {
		rec := loadDebug(t, NewServer(), c.target, c.accept)
		if got := rec.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("%s: content type %q", name, got)
		}
	}
}

func TestDebug_EmptyExplainsItself(t *testing.T) {
	var s Server
	text := visible(loadDebug(t, &s, "/", "text/html").Body.String())
	for _, want := range []string{"server.Register(new(Arith))", "geerpc.RegisterFunc", "Nobody is connected", "server.Serve(listener)"} {
		if !strings.Contains(text, want) {
			t.Errorf("empty page lacks %q", want)
		}
	}
	if body := loadDebug(t, &s, "/?format=json", "").Body.String(); strings.Contains(body, "null") {
		t.Errorf("empty arrays are null: %s", body)
	}
	s.Close()
	if text := visible(loadDebug(t, &s, "/", "text/html").Body.String()); !strings.Contains(text, "told to shut down") {
		t.Error("page of a closed server does not say so")
	}
}

func TestDebug_Refresh(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "?refresh=5": "5", "?refresh=3600": "3600", "?refresh=0": "", "?refresh=-1": "", "?refresh=3601": "",
		"?refresh=5;url=//x": "", "?refresh=5%0d%0aX:y": "", "?refresh=%2b07": "7", "?refresh=5&format=json": "",
	} {
		if got := loadDebug(t, NewServer(), "/"+query, "text/html").Header().Get("Refresh"); got != want {
			t.Errorf("%s: Refresh %q, want %q", query, got, want)
		}
	}
}

func TestDebug_Headers(t *testing.T) {
	handler := NewServer().DebugHandler()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE"} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(method, "http://example.com/", nil))
		want, allow := http.StatusOK, ""
		if method != "GET" && method != "HEAD" {
			want, allow = http.StatusMethodNotAllowed, "GET, HEAD"
		}
		h := rec.Header()
		if rec.Code != want || h.Get("Allow") != allow {
			t.Errorf("%s: status %d, Allow %q", method, rec.Code, h.Get("Allow"))
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept" ||
			!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
			t.Errorf("%s: headers %v", method, h)
		}
	}
}

// A server of one's own, at any path, two on one mux; A22's other half. GET
// and HEAD as they look on the wire.
func TestA22_DebugOnAMuxOfOnesOwn(t *testing.T) {
	one, two := NewServer(), NewServer()
	if err := one.RegisterName("One", new(Arith)); err != nil {
		t.Fatal(err)
	}
	if err := two.RegisterName("Two", new(Arith)); err != nil {
		t.Fatal(err)
	}
	if one.DebugHandler() != one.DebugHandler() || one.DebugHandler() == two.DebugHandler() {
		t.Error("handlers don't compare as their servers do")
	}
	mux := http.NewServeMux()
	mux.Handle("/one", one.DebugHandler())
	mux.Handle("/deep/er/", two.DebugHandler())
	hs := httptest.NewServer(mux)
	defer hs.Close()
	for path, want := range map[string]string{"/one?format=json": `"One"`, "/deep/er/x/y": "Two.Add"} {
		resp, err := hs.Client().Get(hs.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s lacks %s", path, want)
		}
		head, err := hs.Client().Head(hs.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		head.Body.Close()
		if head.StatusCode != http.StatusOK || head.Header.Get("Content-Type") != resp.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %s, %v", path, head.Status, head.Header)
		}
	}
}

// between returns what is between two texts on a page, and the page without it.
func between(t *testing.T, page, begin, end string) (inside, rest string) {
	t.Helper()
	before, after, found := strings.Cut(page, begin)
	inside, after, closed := strings.Cut(after, end)
	if !found || !closed || len(inside) < 1000 {
		t.Errorf("between %s and %s there are %d bytes", begin, end, len(inside))
	}
	return inside, before + after
}

func TestE51_DebugPolicyMatchesThePage(t *testing.T) {
	s := NewServer()
	if err := s.RegisterName("Arith", new(Arith)); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/", "/?method=Arith.Add"} {
		rec := loadDebug(t, s, target, "text/html")
		style, page := between(t, rec.Body.String(), "<style>", "</style>")
		script, page := between(t, page, "<script>", "</script>")
		hash := func(text string) string {
			sum := sha256.Sum256([]byte(text))
			return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
		want := "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) + "; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
		if got := rec.Header().Get("Content-Security-Policy"); got != want {
			t.Errorf("policy is\n%s, want\n%s", got, want)
		}
		// What the policy would stop must not be there.
		if bad := regexp.MustCompile(`(?i)<script|<link|<img|<form|\sstyle=|\son\w+=|url\(|@import|<style`).FindString(page); bad != "" {
			t.Errorf("page has %q", bad)
		}
	}
}

func TestE50_E51_NamesAreText(t *testing.T) {
	for _, name := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</h3></section><style>*{display:none}</style>`,
		`{{.Errors}}`, `a.b/c`, `../../etc`, "line\nbreak\x00", "\xff\xfe", `'onmouseover='x`, "\u202eevil",
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", codec.GobType)
			if err := e.RegisterName(name, new(Arith), "Add"); err != nil {
				t.Fatal(err)
			}
			client := e.dial(nil)
			if err := client.Call(context.Background(), name+".Add", Args{1, 2}, new(Reply)); err != nil {
				t.Fatal(err)
			}
			if debugOf(t, e.Server).Calls != 1 {
				t.Error("call not counted")
			}
			_, page := between(t, loadDebug(t, e.Server, "/", "text/html").Body.String(), "<script>", "</script>")
			if strings.ContainsAny(name, "<>\"'") && strings.Contains(page, name) {
				t.Error("name is on the page as it is")
			}
			for _, element := range []string{"<script", "<img"} {
				if strings.Contains(page, element) {
					t.Errorf("page has a %s>", element)
				}
			}
			if got, want := visible(page), strings.ReplaceAll(name, "\x00", "�"); !strings.Contains(got, want) {
				t.Errorf("page does not show %q", name)
			}
			object := loadDebug(t, e.Server, "/?format=json", "").Body.String()
			if strings.ContainsAny(name, "<>\"") && strings.Contains(object, name) {
				t.Error("name is in the JSON as it is")
			}
		})
	}
}

// TestE51_WhatPeersMakeUp: names of methods that do not exist are no rows of the page, and
// are told as text, cut short, and a few of them only.
func TestE51_WhatPeersMakeUp(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		names := []string{"Madeup.Method", "Arith.Madeup", "madeup", "<script>madeup." + strings.Repeat("x", 2000)}
		for _, name := range names {
			err := client.Call(context.Background(), name, Args{}, new(Reply))
			if CodeOf(err) == CodeOK {
				t.Errorf("%.50s was called", name)
			}
		}
		info := debugOf(t, e.Server)
		if info.UnknownCalls != 4 || info.Calls != 0 || info.Errors != 0 || len(info.Services) != 1 {
			t.Errorf("unknown calls %d, calls %d, errors %d, services %d; want 4, 0, 0, 1", info.UnknownCalls, info.Calls, info.Errors, len(info.Services))
		}
		if _, err := e.tryDial(&Option{CodecType: "madeup", ConnectTimeout: -1}); err == nil {
			t.Error("a codec was made up and worked")
		}
		if len(info.Refused) == 0 || !strings.Contains(info.Refused[len(info.Refused)-1].Reason, "Madeup") {
			t.Errorf("refused lately: %+v", info.Refused)
		}
		for range 50 {
			client.Call(context.Background(), names[3], Args{}, new(Reply))
		}
		for _, target := range []string{"/", "/?format=json"} {
			page := loadDebug(t, e.Server, target, "text/html").Body.String()
			if strings.Contains(page, "<script>madeup") || strings.Contains(page, strings.Repeat("x", 300)) || strings.Count(page, "adeup") > 40 {
				t.Errorf("%s shows what a peer made up as it is", target)
			}
		}
	})
}

// Every field of a Server is among the settings.
func TestDebug_AllSettings(t *testing.T) {
	var names []string
	for _, setting := range new(Server).settings() {
		names = append(names, setting.Name)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Server]()) {
		if field.IsExported() && !slices.Contains(names, field.Name) {
			t.Errorf("there is no %s among %q", field.Name, names)
		}
	}
}
