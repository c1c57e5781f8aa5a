package page

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestStream_EndsAfterAWhile: it must not keep an http.Server from shutting down.
func TestStream_EndsAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n := New(Source{HTML: "{{.}}\n"}), 0
		rec, begun := httptest.NewRecorder(), time.Now()
		if err := p.Stream(rec, httptest.NewRequest(http.MethodGet, "/", nil), func() any { n++; return n }); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != maxStream {
			t.Errorf("it took %v", took)
		}
		if body := rec.Body.String(); strings.Count(body, "\n\n") != 16 || !strings.HasPrefix(body, "retry: 1000\ndata: 1\n\nretry: 1000\ndata: 2\n\n") || !rec.Flushed {
			t.Errorf("the events are %q", body)
		}
	})
}

// TestStream_SlowPage: a page that takes long to make is made less often.
func TestStream_SlowPage(t *testing.T) {
	for took, want := range map[time.Duration]int{10 * time.Millisecond: 16, 200 * time.Millisecond: 8, 10 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			New(Source{}).Stream(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), func() any {
				time.Sleep(took)
				n++
				return nil
			})
			if n != want {
				t.Errorf("%d events of a page that takes %v, want %d", n, took, want)
			}
		})
	}
}

// A noFlusher is the ResponseWriter of a handler that sends nothing before the end.
type noFlusher struct{ http.ResponseWriter }

// TestStream_OneEvent: the browser asks for the next one. No stream is kept for a HEAD.
func TestStream_OneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, rec := time.Now(), httptest.NewRecorder()
		p := New(Source{HTML: "x"})
		p.Stream(noFlusher{rec}, httptest.NewRequest(http.MethodGet, "/", nil), func() any { return nil })
		if got := rec.Body.String(); got != "retry: 1000\ndata: x\n\n" {
			t.Errorf("without a Flusher: %q", got)
		}
		rec = httptest.NewRecorder()
		p.Stream(rec, httptest.NewRequest(http.MethodHead, "/", nil), func() any { return nil })
		if rec.Body.Len() > 0 || rec.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("for a HEAD: %q, %v", rec.Body, rec.Header())
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestStream_Limited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Source{HTML: "x"})
		ctx, cancel := context.WithCancel(t.Context())
		stream := func() string {
			rec := httptest.NewRecorder()
			p.Stream(rec, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx), func() any { return nil })
			return rec.Body.String()
		}
		var all sync.WaitGroup
		for range maxStreams {
			all.Go(func() { stream() })
		}
		synctest.Wait()
		begun := time.Now()
		if events := stream(); events != "retry: 4000\ndata: x\n\n" || time.Since(begun) != 0 {
			t.Errorf("one too many gets %q in %v", events, time.Since(begun))
		}
		cancel()
		all.Wait()
		if events := stream(); !strings.HasPrefix(events, "retry: 1000\n") {
			t.Errorf("when the others have gone: %q", events)
		}
	})
}

func TestStream_TemplateThatFails(t *testing.T) {
	p := New(Source{HTML: "{{.Missing}}"})
	if err := p.Stream(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), func() any { return struct{}{} }); err == nil {
		t.Error("no error")
	}
}

func TestEvent(t *testing.T) {
	if got := event([]byte("a\r\n\nb"), time.Second); !bytes.Equal(got, []byte("retry: 1000\ndata: a\ndata: \ndata: b\n\n")) {
		t.Errorf("%q", got)
	}
}
