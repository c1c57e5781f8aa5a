package page

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{FormatCount(0), "0"}, {FormatCount(999), "999"}, {FormatCount(1000), "1,000"}, {FormatCount(int64(1234567)), "1,234,567"},
		{FormatCount(-100), "-100"}, {FormatCount(-123456), "-123,456"},
		{FormatSpan(0), "0.0 s"}, {FormatSpan(59.94), "59.9 s"}, {FormatSpan(61), "1 min 1 s"}, {FormatSpan(3600), "1 h 0 min"}, {FormatSpan(100 * 3600), "4 d 4 h"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

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
	p := New("{{.Missing}}", "", nil)
	rec := httptest.NewRecorder()
	if err := p.Write(rec, nil, struct{}{}); err == nil || rec.Code != http.StatusInternalServerError {
		t.Errorf("error %v, status %d", err, rec.Code)
	}
}
