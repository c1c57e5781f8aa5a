package test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"geerpc"
)

// TestE52_HTTPCallsOfOthers: a page of another origin can't call, by whatever trick, and
// its browser is told nothing that would allow it to read an answer.
func TestE52_HTTPCallsOfOthers(t *testing.T) {
	var calls atomic.Int32
	eachWay(t, func(s *geerpc.Server) {
		s.Admit = append(s.Admit, func(ctx context.Context, method string) error { calls.Add(1); return nil })
	}, func(t *testing.T, w *web) {
		form := []string{"Content-Type", "application/x-www-form-urlencoded"}
		for _, c := range []struct {
			name, method string
			header       []string
			status       int
		}{
			{"another site", "POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
			{"a sibling site", "POST", []string{"Sec-Fetch-Site", "same-site"}, 403},
			{"an old browser", "POST", []string{"Origin", "http://evil.example"}, 403},
			{"a file", "POST", []string{"Origin", "null"}, 403},
			{"a name made to lead here", "POST", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://evil.example", "Host", "evil.example"}, 403},
			{"the same, an old browser", "POST", []string{"Host", "evil.example:80"}, 403},
			{"a form", "POST", form, 415},
			{"a form with files", "POST", []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
			{"text", "POST", []string{"Content-Type", "text/plain"}, 415},
			{"no type", "POST", []string{"Content-Type", ""}, 415},
			{"a question", "OPTIONS", []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type"}, 405},
			{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site"}, 405},
			{"another method", "PUT", nil, 405},
		} {
			for _, path := range []string{"/Arith/Add", "/"} {
				r, err := w.do(w.request(c.method, path, `{"A":1}`, c.header...))
				if err != nil || r.Status != c.status || !strings.Contains(r.Body, `"ran":"never"`) {
					t.Errorf("%s: %+v, %v", c.name, r, err)
				}
				for name := range r.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s: there is a header %s", c.name, name)
					}
				}
			}
		}
		if n := calls.Load(); n != 0 {
			t.Errorf("%d calls were made", n)
		}
		parts := strings.Split(w.url, "/")
		if r := w.post("/Arith/Add", "", "Sec-Fetch-Site", "same-origin", "Origin", parts[0]+"//"+parts[2]); r.Status != 200 {
			t.Errorf("a page of the same origin: %+v", r)
		}
		calls.Store(0)
	})
}

// TestE48_HTTPTokens: without the Token there is no call, and no word of it anywhere.
func TestE48_HTTPTokens(t *testing.T) {
	eachWay(t, func(s *geerpc.Server) { s.Token = "sesam" }, func(t *testing.T, w *web) {
		for _, header := range []string{"", "Bearer", "Bearer ", "Bearer sesa", "Bearer Sesam", "Basic sesam", "sesam", "Bearer " + strings.Repeat("x", 10_000)} {
			for _, path := range []string{"/Arith/Add", "/"} {
				r := w.post(path, "", "Authorization", header)
				wantHTTPError(t, r, 401, "unauthenticated", "server", "never", "token")
				if r.Header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(r.Body, "sesam") {
					t.Errorf("answer is %+v", r)
				}
			}
		}
		if r := w.post("/Arith/Add", "", "Authorization", "Bearer sesam"); r.Status != 200 {
			t.Errorf("with the token: %+v", r)
		}
		page := debugPage(t, w)
		if len(page.Refused) != 1 || !strings.Contains(page.Refused[0].Reason, "token") || !strings.HasPrefix(page.Refused[0].Peer, "127.0.0.1:") {
			t.Errorf("refused are %+v", page.Refused)
		}
	})
}

// TestE53_HugeBodies: a body over the limit is refused, without reading it.
func TestE53_HugeBodies(t *testing.T) {
	eachWay(t, func(s *geerpc.Server) { s.MaxMessageBytes = 1000 }, func(t *testing.T, w *web) {
		fits := `"` + strings.Repeat("x", 998) + `"`
		for _, path := range []string{"/Arith/Add", "/"} {
			for _, chunked := range []bool{false, true} {
				req := w.request("POST", path, fits)
				more := w.request("POST", path, fits+" ")
				if chunked {
					req.ContentLength, more.ContentLength = -1, -1
				}
				if r, err := w.do(req); err != nil || r.Status == 413 {
					t.Errorf("at the limit: %+v, %v", r, err)
				}
				r, err := w.do(more)
				if err != nil {
					t.Error(err)
				}
				wantHTTPError(t, r, 413, "resource_exhausted", "server", "never", "1000 bytes that Server.MaxMessageBytes")
			}
		}
	})
	// With a length of a gigabyte, the answer comes before any of it is sent.
	w := newWeb(t, "port", nil)
	got := w.raw(head("Content-Length: 1073741824"), "}\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, `"resource_exhausted"`) {
		t.Errorf("a gigabyte: %q", got)
	}
}

// head returns the head of a request with some more headers.
func head(lines ...string) string {
	return "POST /Arith/Add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestE53_Smuggling: of bytes that two parties could take for one request or for two, no
// second request is ever made.
func TestE53_Smuggling(t *testing.T) {
	var calls atomic.Int32
	for _, way := range []string{"port", "mux"} {
		w := newWeb(t, way, func(s *geerpc.Server) {
			geerpc.RegisterFunc(s, "Count.Add", func(context.Context, struct{}) (int32, error) { return calls.Add(1), nil })
		})
		prefix := strings.TrimPrefix(w.url, "http://"+strings.Split(w.url, "/")[2])
		first := func(lines ...string) string {
			return strings.Replace(head(lines...), "/Arith/Add", prefix+"/Arith/Add", 1)
		}
		second := strings.Replace(head("Content-Length: 2"), "/Arith/Add", prefix+"/Count/Add", 1) + "{}"
		for _, c := range []struct {
			name, text string
			status     int
		}{
			{"a length and chunks", first(fmt.Sprint("Content-Length: ", 5+len(second)), "Transfer-Encoding: chunked") + "0\r\n\r\n", 200},
			{"chunks and a length", first("Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n", 200},
			{"two lengths", first("Content-Length: 2", "Content-Length: 3") + "{}", 400},
			{"lengths in a list", first("Content-Length: 2, 3") + "{}", 400},
			{"a length with a sign", first("Content-Length: +2") + "{}", 400},
			{"chunks twice", first("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", 501},
			{"chunks of something else", first("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", 501},
			{"a blank before the colon", first("Transfer-Encoding : chunked") + "0\r\n\r\n", 400},
			{"a header over two lines", first("X: y", " Content-Length: 2") + "{}", 0},
			{"a chunk of a false length", first("Transfer-Encoding: chunked") + "1\r\n{}\r\n0\r\n\r\n", 400},
			{"no host", strings.Replace(first("Content-Length: 2"), "Host: localhost\r\n", "", 1) + "{}", 400},
			{"two hosts", first("Host: other", "Content-Length: 2") + "{}", 400},
		} {
			got := w.raw(c.text+second, "")
			if n := calls.Swap(0); n != 0 || c.status != 0 && !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
				t.Errorf("%s, %s: %d calls of the second request: %q", way, c.name, n, got)
			}
		}
		if got := w.raw(second, "\n1\n"); calls.Swap(0) != 1 { // or this test could not fail
			t.Errorf("%s: the second request alone: %q", way, got)
		}
	}
}
