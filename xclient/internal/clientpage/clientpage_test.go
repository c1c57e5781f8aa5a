package clientpage

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// show returns the page as text, its columns one space apart.
func show(t *testing.T, info *Info) string {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := Serve(rec, httptest.NewRequest("GET", "/?format=text", nil), func() *Info { return info }); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(rec.Body.String()), " ")
}

// TestText_Periods: calls grow while answers may not, so each column says its period.
func TestText_Periods(t *testing.T) {
	text := show(t, &Info{Servers: []Server{{Addr: "tcp@a:1", State: "ready"}}})
	for _, want := range []string{"share (10 s)", "answers (10 s)", "failures (10 s)", "calls (since start)"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestText_KeptServers: a registry that was restarted lists fewer servers than are called,
// and the page says so.
func TestText_KeptServers(t *testing.T) {
	age := 15.6
	text := show(t, &Info{Discovery: Discovery{Registries: []Registry{{URL: "http://r", State: Watched, Kept: 2, AgeSeconds: &age}}}})
	if want := "http://r watched 0, 2 kept from before 15.6 s ago"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}
