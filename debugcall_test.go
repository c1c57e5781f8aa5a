package geerpc

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"geerpc/codec"
)

// debugCall posts the form of a server's debug page, and returns the status and what the
// answer shows.
func debugCall(t *testing.T, hs *httptest.Server, method, args string, header ...string) (status int, text string) {
	t.Helper()
	form := url.Values{"args": {args}}.Encode()
	req, err := http.NewRequest(http.MethodPost, hs.URL+"/?format=html&method="+method, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := hs.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, string(body)
	}
	return resp.StatusCode, visible(string(body))
}

// callsAllowed returns the debug page of a server that lets people call from it.
func callsAllowed(t *testing.T) *httptest.Server {
	e := newEnv(t, "pipe", codec.GobType)
	e.AllowDebugCalls, e.Token = true, "secret"
	e.Admit = append(e.Admit, func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "Arith.Panic" {
			return Errorf(CodePermissionDenied, "not this one")
		}
		return nil
	})
	e.start()
	hs := httptest.NewServer(e.DebugHandler())
	t.Cleanup(hs.Close)
	return hs
}

func TestDebugCall(t *testing.T) {
	hs := callsAllowed(t)
	for _, c := range []struct{ method, args, want string }{
		{"Arith.Add", `{"A":1,"B":41}`, `"C": 42`},
		{"Arith.Div", `{"A":1,"B":0}`, "division by zero"},
		{"Arith.Add", `{"A":"one"}`, "arguments of Arith.Add"},
		{"Arith.Add", `{"A":`, "The arguments are not JSON."},
		{"Arith.Panic", `{}`, "not this one"},
	} {
		status, text := debugCall(t, hs, c.method, c.args)
		if status != http.StatusOK || !strings.Contains(text, c.want) || !strings.Contains(text, c.args) {
			t.Errorf("%s(%s): %d\n%s", c.method, c.args, status, text)
		}
	}
	resp, err := hs.Client().Get(hs.URL + "/?format=html&method=Arith.Add")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), "<textarea") || !strings.Contains(visible(string(body)), `"A":`) {
		t.Errorf("the page has no form with an example:\n%s", body)
	}
}

func TestDebugCall_OffUnlessAllowed(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	hs := httptest.NewServer(e.DebugHandler())
	defer hs.Close()
	if status, text := debugCall(t, hs, "Arith.Add", `{"A":1,"B":2}`); status != http.StatusMethodNotAllowed {
		t.Errorf("%d %s", status, text)
	}
	if page := loadDebug(t, e.Server, "/?method=Arith.Add", "text/html").Body.String(); strings.Contains(page, "<form") {
		t.Error("the page has a form that does not work")
	}
	if n := e.registry.method("Arith.Add").counts().Calls; n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestE52_DebugCallsOfOthers: a page of another origin can't call, by whatever trick.
func TestE52_DebugCallsOfOthers(t *testing.T) {
	hs := callsAllowed(t)
	const args = `{"A":1,"B":2}`
	for name, c := range map[string]struct {
		header []string
		want   int
	}{
		"another site":        {[]string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"a sibling site":      {[]string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"an old browser":      {[]string{"Origin", "http://evil.example"}, http.StatusForbidden},
		"a name made to lead": {[]string{"Origin", "http://evil.example", "Host", "evil.example"}, http.StatusForbidden},
		"no form":             {[]string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		"JSON":                {[]string{"Content-Type", "application/json"}, http.StatusUnsupportedMediaType},
		"this page":           {[]string{"Sec-Fetch-Site", "same-origin", "Origin", hs.URL}, http.StatusOK},
		"by another name":     {[]string{"Host", "localhost:1234"}, http.StatusOK},
	} {
		if status, text := debugCall(t, hs, "Arith.Add", args, c.header...); status != c.want {
			t.Errorf("%s: %d %.300s", name, status, text)
		}
	}
	if status, _ := debugCall(t, hs, "Arith.Add", strings.Repeat(" ", 1<<20)+args); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: %d", status)
	}
}
