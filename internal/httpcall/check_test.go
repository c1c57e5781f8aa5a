package httpcall

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// post returns a request that nobody refuses, over the loopback interface, with headers
// that are set, or that are dropped if the value is empty.
func post(path, body string, header ...string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9999}
	req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, net.Addr(local)))
	req.Host = "localhost:9999"
	req.Header.Set("Content-Type", jsonType)
	for i := 0; i < len(header); i += 2 {
		switch name, value := header[i], header[i+1]; {
		case name == "Host":
			req.Host = value
		case value == "":
			req.Header.Del(name)
		default:
			req.Header.Add(name, value)
		}
	}
	return req
}

// setType returns the header for another content type than post has.
func setType(t string) []string { return []string{"Content-Type", "", "Content-Type", t} }

func TestRead_Refusals(t *testing.T) {
	const call, rpc = "/Arith/Add", "/"
	secret := Rules{Token: "secret", MaxBytes: 100, JSONRPC: true}
	authorized := func(header ...string) []string { return append(header, "Authorization", "Bearer secret") }
	for _, c := range []struct {
		name, path string
		header     []string
		status     int // 0: not refused
		code, says string
	}{
		{"a good call", call, authorized(), 0, "", ""},
		{"the scheme in small letters", call, []string{"Authorization", "bearer  secret"}, 0, "", ""},
		{"no token", call, nil, 401, "unauthenticated", "token"},
		{"a wrong token", call, []string{"Authorization", "Bearer secre"}, 401, "unauthenticated", "token"},
		{"another scheme", call, []string{"Authorization", "Basic secret"}, 401, "unauthenticated", "token"},
		{"no token, and the wrong type", call, setType("text/plain"), 401, "unauthenticated", "token"},
		{"no type", call, authorized("Content-Type", ""), 415, "invalid_argument", "curl --json"},
		{"a form's type", call, authorized(setType("application/x-www-form-urlencoded")...), 415, "invalid_argument", "curl --json"},
		{"a form with files", call, authorized(setType("multipart/form-data; boundary=x")...), 415, "invalid_argument", "application/json"},
		{"text", call, authorized(setType("text/plain")...), 415, "invalid_argument", "application/json"},
		{"JSON in its name", call, authorized(setType("application/json-patch+json")...), 415, "invalid_argument", "application/json"},
		{"a parameter", call, authorized(setType("Application/JSON; charset=utf-8")...), 0, "", ""},
		{"a bad parameter", call, authorized(setType("application/json; charset")...), 0, "", ""},
		{"JSON-RPC's type for a call", call, authorized(setType("application/json-rpc")...), 415, "invalid_argument", "application/json"},
		{"compressed", call, authorized("Content-Encoding", "gzip"), 415, "invalid_argument", "gzip"},
		{"not compressed", call, authorized("Content-Encoding", "Identity"), 0, "", ""},
		{"another site", call, authorized("Sec-Fetch-Site", "cross-site"), 403, "permission_denied", "cross-origin"},
		{"another host", call, authorized("Host", "evil.example"), 403, "permission_denied", "evil.example"},
		{"another host, no token", call, []string{"Host", "evil.example"}, 403, "permission_denied", "evil.example"},
		{"no number", call, authorized(timeoutHeader, "1s"), 400, "invalid_argument", timeoutHeader},
		{"JSON-RPC", rpc, authorized(), 0, "", ""},
		{"JSON-RPC's type", rpc, authorized(setType("application/json-rpc")...), 0, "", ""},
		{"JSON-RPC's old type", "/rpc", authorized(setType("application/jsonrequest")...), 0, "", ""},
		{"JSON-RPC as text", rpc, authorized(setType("text/plain")...), 415, "invalid_argument", "application/json"},
	} {
		w := httptest.NewRecorder()
		x, refusal := secret.Read(w, post(c.path, `{"A":1}`, c.header...))
		if c.status == 0 {
			if refusal != nil || string(x.body) != `{"A":1}` {
				t.Errorf("%s: refused: %v", c.name, refusal)
			}
			continue
		}
		if refusal == nil {
			t.Errorf("%s: not refused", c.name)
			continue
		}
		wantRefusal(t, c.name, w, refusal, c.status, c.code, c.says)
	}
}

// wantRefusal checks the answer to a request that is refused.
func wantRefusal(t *testing.T, name string, w *httptest.ResponseRecorder, refusal *Refusal, status int, code, says string) {
	t.Helper()
	refusal.Write(w)
	var body map[string]string
	err := json.Unmarshal(w.Body.Bytes(), &body)
	if err != nil || w.Code != status || body["code"] != code || body["where"] != "server" || body["ran"] != "never" || !strings.Contains(body["message"], says) {
		t.Errorf("%s: %d %s, %v", name, w.Code, w.Body, err)
	}
	if len(body["message"]) > 300 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s: %v %s", name, w.Header(), w.Body)
	}
	for header := range w.Header() {
		if strings.HasPrefix(header, "Access-Control-") {
			t.Errorf("%s: there is a header %s", name, header)
		}
	}
}

func TestRead_OtherMethods(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"} {
		req, w := post("/Arith/Add", "", "Origin", "http://evil.example", "Access-Control-Request-Method", "POST"), httptest.NewRecorder()
		req.Method = method
		_, refusal := Rules{}.Read(w, req)
		if refusal == nil {
			t.Fatalf("%s is not refused", method)
		}
		wantRefusal(t, method, w, refusal, 405, "unimplemented", "curl --json")
		if w.Header().Get("Allow") != "POST, CONNECT" {
			t.Errorf("%s: %v", method, w.Header())
		}
	}
}

func TestRead_AsksForTheToken(t *testing.T) {
	w := httptest.NewRecorder()
	_, refusal := Rules{Token: "secret"}.Read(w, post("/Arith/Add", ""))
	refusal.Write(w)
	if w.Header().Get("WWW-Authenticate") != "Bearer" || strings.Contains(w.Body.String(), "secret") {
		t.Error(w.Header(), w.Body)
	}
}

// A counted is a body that counts what is read of it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func (*counted) Close() error { return nil }

// TestE53_BodyLimit: of a body that is too large no more is read than the limit, and nothing
// if its length says so.
func TestE53_BodyLimit(t *testing.T) {
	const limit = 10_000
	for _, c := range []struct {
		name           string
		size           int
		length         int64 // -1: chunked
		status         int
		least, atMost  int
		max            int
		closesAfterAll bool
	}{
		{"at the limit", limit, limit, 0, limit, limit, limit, false},
		{"in chunks, at the limit", limit, -1, 0, limit, limit, limit, true},
		{"a byte more", limit + 1, limit + 1, 413, 0, 0, limit, false},
		{"a gigabyte", 1 << 30, 1 << 30, 413, 0, 0, limit, false},
		{"more in chunks", 1 << 24, -1, 413, limit, limit + 1, limit, true},
		{"no limit", 3 * limit, 3 * limit, 0, 3 * limit, 3 * limit, 0, false},
	} {
		body := &counted{Reader: io.LimitReader(zeros{}, int64(c.size))}
		req, w := post("/Arith/Add", ""), httptest.NewRecorder()
		req.Body, req.ContentLength = body, c.length
		if c.length < 0 {
			req.TransferEncoding = []string{"chunked"}
		}
		x, refusal := Rules{MaxBytes: c.max}.Read(w, req)
		if body.n < c.least || body.n > c.atMost {
			t.Errorf("%s: %d bytes have been read", c.name, body.n)
		}
		switch {
		case c.status == 0 && (refusal != nil || len(x.body) != c.size):
			t.Errorf("%s: %v", c.name, refusal)
		case c.status != 0 && refusal == nil:
			t.Errorf("%s: not refused", c.name)
		case c.status != 0:
			wantRefusal(t, c.name, w, refusal, c.status, "resource_exhausted", "10000 bytes that Server.MaxMessageBytes allows")
		}
		if closes := w.Header().Get("Connection") == "close"; closes != c.closesAfterAll {
			t.Errorf("%s: the connection is closed: %v", c.name, closes)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{'0'}, min(len(p), 4096))), nil
}

func TestRead_BodyCutShort(t *testing.T) {
	req, w := post("/Arith/Add", ""), httptest.NewRecorder()
	req.Body, req.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"A":`), errReader{})), 100
	_, refusal := Rules{}.Read(w, req)
	if refusal == nil {
		t.Fatal("not refused")
	}
	wantRefusal(t, "cut short", w, refusal, 400, "invalid_argument", "it broke")
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("it broke") }
