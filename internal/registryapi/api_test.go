package registryapi

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestWatch: what one side asks is what the other one reads.
func TestWatch(t *testing.T) {
	for _, w := range []Watch{{}, {Index: 1}, {Index: 1<<64 - 1, Wait: 30 * time.Second, Changes: true}} {
		text, err := w.URL("http://host/path?key=value")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(text)
		if err != nil || u.Query().Get("key") != "value" || u.Path != "/path" {
			t.Errorf("the URL is %s", text)
		}
		if got, err := ParseWatch(u.Query()); err != nil || got != w {
			t.Errorf("%+v becomes %+v, %v", w, got, err)
		}
	}
	if w, err := ParseWatch(url.Values{"changes": {"1"}, "wait": {"x"}}); err != nil || w != (Watch{}) {
		t.Errorf("without an index: %+v, %v", w, err)
	}
	for _, query := range []string{"index=x", "index=-1", "index=", "index=1&wait=x", "index=1&wait=-1s"} {
		values, _ := url.ParseQuery(query)
		if w, err := ParseWatch(values); err == nil || w != (Watch{}) {
			t.Errorf("%s: %+v, %v", query, w, err)
		}
	}
}

// TestAddresses: what can be registered can be dialled. An address with a comma
// can be dialled, and not be in a list.
func TestAddresses(t *testing.T) {
	long := "tcp@" + strings.Repeat("a", MaxAddressBytes-4)
	for _, c := range []struct {
		addr           string
		dialable, good bool
	}{
		{"tcp@10.0.0.1:9999", true, true},
		{"unix@/tmp/socket", true, true},
		{"unix@/tmp/a,b", true, false},
		{"tcp@\xff", true, false},
		{long, true, true},
		{long + "a", false, false},
		{"", false, false},
		{"10.0.0.1:9999", false, false},
		{"tcp@", false, false},
		{"@10.0.0.1:9999", false, false},
		{"tcp@ a", false, false},
		{"tcp@a\x00", false, false},
	} {
		if got := Dialable(c.addr); got != c.dialable {
			t.Errorf("Dialable(%q) is %v", c.addr, got)
		}
		if err := CheckAddress(c.addr); (err == nil) != c.good {
			t.Errorf("CheckAddress(%q): %v", c.addr, err)
		}
	}
}

// TestParseURL: the error names what is wrong, without the URL.
func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://me:secret@host/path": "",
		"https://host":               "",
		"ftp://me:secret@host":       `the scheme is "ftp"`,
		"http://":                    "there is no host",
		"http://me:secret@ho st/":    "invalid character",
	} {
		u, err := ParseURL(text)
		switch {
		case want == "" && (err != nil || u.String() != text):
			t.Errorf("%s: %v, %v", text, u, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v", text, err)
		}
	}
}
