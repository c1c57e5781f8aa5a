package defaultmux

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHandle: a path is taken once; another handler or pattern that is there
// stays.
func TestHandle(t *testing.T) {
	old := http.DefaultServeMux
	defer func() { http.DefaultServeMux = old }()
	http.DefaultServeMux = http.NewServeMux()
	one, two := http.RedirectHandler("/1", http.StatusFound), http.RedirectHandler("/2", http.StatusFound)
	http.Handle("POST /{x}/", two)
	for _, c := range []struct {
		path string
		h    http.Handler
		want string // in the error
	}{
		{"/path", one, ""},
		{"/path", one, ""}, // again
		{"/path", two, "another handler has it"},
		{"/other", two, ""},
		{"/a/b", one, "conflicts with pattern"},
		{"no slash", one, "missing /"},
	} {
		err := Handle(c.path, c.h)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("Handle(%q): %v, want %q", c.path, err, c.want)
		}
	}
	if got, _ := http.DefaultServeMux.Handler(httptest.NewRequest(http.MethodGet, "/path", nil)); got != one {
		t.Error("the first handler has lost its path")
	}
}
