package geerpc

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The second server is told that the paths are taken, and how else to go about
// it; nothing panics, and the first one keeps its paths. Saying it twice for
// one server is no mistake.
func TestA22_HandleHTTPOfTwoServers(t *testing.T) {
	usual := http.DefaultServeMux
	http.DefaultServeMux = http.NewServeMux()
	defer func() { http.DefaultServeMux = usual }()

	servers, logs := [2]*Server{}, [2]bytes.Buffer{}
	for i, name := range []string{"First", "Second"} {
		servers[i] = &Server{Logger: slog.New(slog.NewTextHandler(&logs[i], nil))}
		if err := servers[i].RegisterName(name, new(Arith)); err != nil {
			t.Fatal(err)
		}
		servers[i].HandleHTTP()
	}
	servers[0].HandleHTTP()
	if logs[0].Len() > 0 {
		t.Errorf("the first server was told: %s", &logs[0])
	}
	for _, want := range []string{"path=" + defaultRPCPath, "path=" + defaultDebugPath, "server.DebugHandler()"} {
		if !strings.Contains(logs[1].String(), want) {
			t.Errorf("the second server was not told %q: %s", want, &logs[1])
		}
	}
	rec := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, defaultDebugPath, nil))
	if text := visible(rec.Body.String()); !strings.Contains(text, "First") || strings.Contains(text, "Second") {
		t.Error("the debug page is not the first server's")
	}
	rec = httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, defaultRPCPath, nil))
	if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != http.MethodConnect {
		t.Errorf("GET of the RPC path: status %d", rec.Code)
	}
}
