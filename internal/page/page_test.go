package page

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		name   string
		accept []string
		want   bool
	}{
		{"nothing said", nil, false},
		{"browser", []string{"text/html,application/xhtml+xml,*/*;q=0.8"}, true},
		{"second header", []string{"application/json", "text/html;q=0.5"}, true},
		{"anything", []string{"*/*"}, false},
		{"nonsense", []string{";;;,,"}, false},
	} {
		if got := Accepts(http.Header{"Accept": c.accept}, "text/html"); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTemplateThatFails(t *testing.T) {
	p := New(Source{HTML: "{{.Missing}}", Text: "{{.Missing}}"})
	for _, format := range []string{"html", "text"} {
		rec := httptest.NewRecorder()
		missing := func() any { return struct{}{} }
		if err := p.Serve(rec, httptest.NewRequest(http.MethodGet, "/?format="+format, nil), missing, missing); err == nil || rec.Code != http.StatusInternalServerError {
			t.Errorf("%s: error %v, status %d", format, err, rec.Code)
		}
	}
}
