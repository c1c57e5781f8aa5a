package registry

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/internal/registryapi"
)

// TestF56_Token: reading is free, writing is not.
func TestF56_Token(t *testing.T) {
	const token = "s3cret/token+="
	for _, c := range []struct {
		name, authorization string
		ok                  bool
	}{
		{"right", "Bearer " + token, true},
		{"in small letters", "bearer " + token, true},
		{"none", "", false},
		{"empty", "Bearer ", false},
		{"wrong", "Bearer wrong", false},
		{"right, and more", "Bearer " + token + "x", false},
		{"a part", "Bearer " + token[:5], false},
		{"another scheme", "Basic " + token, false},
		{"no scheme", token, false},
		{"huge", "Bearer " + strings.Repeat("x", 1<<20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var logged bytes.Buffer
			r := New(0)
			r.Token = token
			r.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			r.register(&ServerItem{Addr: "tcp@before:1"})
			post := request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@a:1", "Authorization", c.authorization)
			del := request(r, http.MethodDelete, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@before:1", "Authorization", c.authorization)
			want, wantList := http.StatusOK, "tcp@a:1"
			if !c.ok {
				want, wantList = http.StatusUnauthorized, "tcp@before:1"
			}
			for _, resp := range []*http.Response{post, del} {
				if resp.StatusCode != want || (resp.Header.Get("WWW-Authenticate") == "") != c.ok {
					t.Errorf("%s: %v", resp.Status, resp.Header)
				}
			}
			if got := list(r); got != wantList {
				t.Errorf("the list is %q, want %q", got, wantList)
			}
			r.reports.Wait(time.Minute)
			if strings.Contains(logged.String(), token) {
				t.Error("the token is in the log")
			}
			if refused := strings.Count(logged.String(), "request refused"); !c.ok && (refused != 2 || !strings.Contains(logged.String(), "wrong or missing token")) || c.ok && refused != 0 {
				t.Errorf("logged %s", &logged)
			}
		})
	}
}

// TestF56_HeartbeatWithToken: our servers say it, and are told if it is wrong.
func TestF56_HeartbeatWithToken(t *testing.T) {
	r := New(0)
	r.Token = "right"
	w := &wire{handler: r}
	for token, ok := range map[string]bool{"right": true, "an0ther": false, "": false} {
		reg := Register(Config{Registries: []string{"http://registry"}, Addr: "tcp@a:1", Token: token, Client: w.client()})
		if err := reg.Err(); (err == nil) != ok || (list(r) == "tcp@a:1") != ok {
			t.Errorf("token %q: %v, list %q", token, err, list(r))
		} else if !ok && (!strings.Contains(err.Error(), "401") && !strings.Contains(err.Error(), "Unauthorized") || token != "" && strings.Contains(err.Error(), token)) {
			t.Errorf("token %q: the error is %v", token, err)
		}
		reg.Close()
	}
}

// TestRefusalsAreReadable: nothing in the text comes twice.
func TestRefusalsAreReadable(t *testing.T) {
	r := New(0)
	r.Token = "right"
	web := httptest.NewServer(r)
	defer web.Close()
	reg := Heartbeat(web.URL, "tcp@a:1", 0)
	defer reg.Close()
	want := "rpc registry: POST " + web.URL + ": status 401 Unauthorized: wrong or missing token"
	if err := reg.Err(); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// TestForms: who asks gets what it can read, and old programs what they always
// got.
func TestForms(t *testing.T) {
	r := New(0)
	ask(r, http.MethodPost, "tcp@a:1", "")
	ask(r, http.MethodPost, "tcp@b:2", "")
	const (
		browser  = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		jsonType = "application/json"
		htmlType = "text/html; charset=utf-8"
		textType = "text/plain; charset=utf-8"
	)
	for _, c := range []struct{ name, target, accept, want string }{
		{"an old caller", "/", "", ""},
		{"nonsense", "/", ";;,", ""},
		{"curl", "/", "*/*", textType},
		{"a program that likes text", "/", "text/plain", textType},
		{"a browser that wants text", "/?format=text", browser, textType},
		{"our caller", "/", "application/json", jsonType},
		{"curl that wants JSON", "/?format=json", "*/*", jsonType},
		{"a browser", "/", browser, htmlType},
		{"a browser that likes JSON", "/", "application/json," + browser, htmlType},
		{"a browser that follows the link", "/?format=json", browser, jsonType},
		{"a program that wants the page", "/?format=html", "", htmlType},
	} {
		resp := request(r, http.MethodGet, c.target, "Accept", c.accept)
		if got := resp.Header.Get("Content-Type"); got != c.want || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %q, want %q", c.name, resp.Status, got, c.want)
		}
		if old := resp.Header.Get(registryapi.ServersHeader) == "tcp@a:1,tcp@b:2"; old != (c.want == "") {
			t.Errorf("%s: header %q", c.name, resp.Header.Get(registryapi.ServersHeader))
		}
		body, _ := io.ReadAll(resp.Body)
		if text := string(body); c.want == "" && text != "" || c.want == textType && text != "tcp@a:1\ntcp@b:2\n" {
			t.Errorf("%s: body %q", c.name, body)
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: headers %v", c.name, resp.Header)
		}
	}
}

// TestHead is answered as GET is, without the body.
func TestHead(t *testing.T) {
	r := New(0)
	ask(r, http.MethodPost, "tcp@a:1", "")
	web := httptest.NewServer(r)
	defer web.Close()
	for _, c := range []struct{ query, kind, header string }{
		{"", "", "tcp@a:1"},
		{"?format=text", "text/plain; charset=utf-8", ""},
		{"?format=json", "application/json", ""},
	} {
		resp, err := http.Head(web.URL + c.query)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != c.kind || resp.Header.Get(registryapi.ServersHeader) != c.header || len(body) > 0 {
			t.Errorf("%q: %s, %v, body %q", c.query, resp.Status, resp.Header, body)
		}
	}
}

// TestOldCallerKeepsItsConnection although it never closes the body of an
// answer: it has none.
func TestOldCallerKeepsItsConnection(t *testing.T) {
	r := New(0)
	ask(r, http.MethodPost, "tcp@a:1", "")
	var opened atomic.Int64
	web := httptest.NewUnstartedServer(r)
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	web.Start()
	defer web.Close()
	for range 10 {
		resp, err := web.Client().Get(web.URL)
		if err != nil || resp.Header.Get(registryapi.ServersHeader) != "tcp@a:1" {
			t.Fatal(resp, err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("10 looks took %d connections", n)
	}
}

// TestE218_Browsers may not write, whatever page they come from: DNS rebinding
// makes a stranger's page one of the registry's own.
func TestE218_Browsers(t *testing.T) {
	for _, header := range []string{"Origin", "Sec-Fetch-Site"} {
		for _, value := range []string{"null", "none", "same-origin", "cross-site", "http://registry:9999"} {
			r := New(0)
			ask(r, http.MethodPost, "tcp@before:1", "")
			for method, addr := range map[string]string{http.MethodPost: "tcp@evil:1", http.MethodDelete: "tcp@before:1"} {
				if resp := request(r, method, registryapi.DefaultPath, registryapi.ServerHeader, addr, header, value); resp.StatusCode != http.StatusForbidden || list(r) != "tcp@before:1" {
					t.Errorf("%s with %s: %s gets %s, list %q", method, header, value, resp.Status, list(r))
				}
			}
			if resp := request(r, http.MethodGet, registryapi.DefaultPath, "Accept", "text/html", header, value); resp.StatusCode != http.StatusOK {
				t.Errorf("the page with %s: %s", header, resp.Status)
			}
		}
	}
}
