package registry

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
			r.put(&ServerItem{Addr: "tcp@before:1"})
			post := request(r, http.MethodPost, defaultPath, serverHeader, "tcp@a:1", "Authorization", c.authorization)
			del := request(r, http.MethodDelete, defaultPath, serverHeader, "tcp@before:1", "Authorization", c.authorization)
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
			if strings.Contains(logged.String(), token) {
				t.Error("the token is in the log")
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
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct{ name, target, accept, want string }{
		{"an old caller", "/", "", ""},
		{"curl", "/", "*/*", ""},
		{"nonsense", "/", ";;,", ""},
		{"our caller", "/", "application/json", "application/json"},
		{"a browser", "/", browser, "text/html; charset=utf-8"},
		{"a browser that likes JSON", "/", "application/json," + browser, "text/html; charset=utf-8"},
		{"a browser that follows the link", "/?format=json", browser, "application/json"},
		{"a program that wants the page", "/?format=html", "", "text/html; charset=utf-8"},
	} {
		resp := request(r, http.MethodGet, c.target, "Accept", c.accept)
		if got := resp.Header.Get("Content-Type"); got != c.want || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, %q, want %q", c.name, resp.Status, got, c.want)
		}
		if old := resp.Header.Get(serversHeader) == "tcp@a:1"; old != (c.want == "") {
			t.Errorf("%s: header %q", c.name, resp.Header.Get(serversHeader))
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: headers %v", c.name, resp.Header)
		}
	}
}
