package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"geerpc/internal/registryapi"
)

// getPage returns the page without its style and script, and its text.
func getPage(t *testing.T, r *GeeRegistry, query string) (source, text string) {
	t.Helper()
	resp := request(r, http.MethodGet, registryapi.DefaultPath+query, "Accept", "text/html")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	source = string(body)
	policy := resp.Header.Get("Content-Security-Policy")
	for _, element := range []string{"style", "script"} { // the only ones, which the policy allows
		begin, rest, _ := strings.Cut(source, "<"+element+">")
		text, end, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		if allowed := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, allowed) || len(text) < 1000 {
			t.Errorf("policy %q does not allow %s of %d bytes", policy, allowed, len(text))
		}
		source = begin + end
	}
	if !strings.HasPrefix(policy, "default-src 'none'; ") {
		t.Errorf("policy %q", policy)
	}
	_, text, _ = strings.Cut(source, "<body>")
	return source, html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(text, ""))
}

func TestPage(t *testing.T) {
	r := New(time.Minute)
	if _, text := getPage(t, r, ""); !strings.Contains(text, "No server is registered") || !strings.Contains(text, "registry.Serve(server, listener") {
		t.Errorf("the empty page says\n%s", text)
	}
	request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@10.0.0.1:9999", registryapi.VersionHeader, "1", registryapi.ServicesHeader, "Arith,Clock", registryapi.WeightHeader, "1234", registryapi.MetadataHeader, "zone=b")
	ask(r, http.MethodPost, "tcp@10.0.0.2:9999", "")
	_, text := getPage(t, r, "")
	for _, want := range []string{"Servers2 (1 legacy)", "Silent0", "Services2", "tcp@10.0.0.1:9999", "Arith Clock", "zone=b", "1,234", "tcp@10.0.0.2:9999 legacy", "not said", "0.0 s", "no interval", "Watching0 of 16,384", fmt.Sprint("pid ", os.Getpid()), "has just started"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if source, _ := getPage(t, r, ""); regexp.MustCompile(`(?i)<script|<link|<img|<form|\sstyle=|\son\w+=|url\(|@import|<style`).MatchString(source) {
		t.Error("the page has what its policy stops")
	}
}

// TestPageOfASilentCrowd: what somebody looks for comes first.
func TestPageOfASilentCrowd(t *testing.T) {
	r := New(time.Minute)
	for i := range maxPageRows + 5 {
		ask(r, http.MethodPost, fmt.Sprintf("tcp@s%04d:1", i), "")
	}
	const last = "tcp@s0204:1"
	source, text := getPage(t, r, "")
	if strings.Contains(text, last) || !strings.Contains(text, "1 to 200 of 205") || !strings.Contains(source, `href="?from=200"`) {
		t.Error("the page is as long as the list")
	}
	for query, shown := range map[string]string{"from=200": "201 to 205 of 205", "from=-5": "1 to 200 of 205", "from=x": "1 to 200 of 205", "from=99999": "There are no more"} {
		if _, text := getPage(t, r, "?"+query); !strings.Contains(text, shown) || strings.Contains(text, last) != (query == "from=200") {
			t.Errorf("%s does not show %s", query, shown)
		}
	}
	r.mu.Lock()
	r.servers[last].Silent, r.servers[last].inGrace = true, true
	r.changedLocked(last)
	r.mu.Unlock()
	if _, text := getPage(t, r, ""); !strings.Contains(text, last+" legacy silent kept") || !strings.Contains(text, "Most servers fell silent at once") {
		t.Error("the silent one is not shown")
	}
}

func TestPageRefresh(t *testing.T) {
	for query, want := range map[string]string{"": "", "refresh=5": "5", "refresh=0": "", "refresh=9999": "", "refresh=5;url=//x": ""} {
		resp := request(New(0), http.MethodGet, "/?"+query, "Accept", "text/html")
		if got := resp.Header.Get("Refresh"); got != want {
			t.Errorf("%s: Refresh %q, want %q", query, got, want)
		}
	}
}

// TestE51_WhatServersSayIsText: on the page, and in the JSON should somebody
// take that for one.
func TestE51_WhatServersSayIsText(t *testing.T) {
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img/src=x/onerror=alert(1)>`, `</td><style>*{display:none}</style>`,
		`{{.Total}}`, `'onmouseover='x`, `javascript:alert(1)`,
	} {
		t.Run(evil, func(t *testing.T) {
			r := New(0)
			resp := request(r, http.MethodPost, registryapi.DefaultPath, registryapi.ServerHeader, "tcp@"+evil, registryapi.ServicesHeader, evil, registryapi.MetadataHeader, url.Values{evil: {evil}}.Encode())
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			source, text := getPage(t, r, "")
			for _, element := range []string{"<script", "<img", "<style>*"} {
				if strings.Contains(source, element) {
					t.Errorf("the page has a %s", element)
				}
			}
			if n := strings.Count(text, evil); n != 5 {
				t.Errorf("the page shows it %d times", n)
			}
			body, _ := io.ReadAll(request(r, http.MethodGet, "/?format=json").Body)
			if strings.ContainsAny(string(body), "<>") {
				t.Errorf("the JSON is %s", body)
			}
		})
	}
}
