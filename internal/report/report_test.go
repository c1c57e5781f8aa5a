package report

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A handler writes to a buffer what it is not kept from by act.
type handler struct {
	slog.Handler
	act func(n int32)
	n   atomic.Int32
}

func newHandler(act func(n int32)) (*slog.Logger, *bytes.Buffer) {
	b := new(bytes.Buffer)
	h := &handler{act: act}
	h.Handler = slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.MessageKey {
			act(h.n.Add(1))
		}
		return a
	}})
	return slog.New(h), b
}

// Messages come in order, with their arguments and the time when they were
// made; those below the Logger's level don't.
func TestQueue_Order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		logger, text := newHandler(func(int32) { <-release })
		var q Queue
		q.Wait(time.Hour) // for nothing
		begin := time.Now()
		q.Log(logger, slog.LevelDebug, "never")
		q.Log(logger, slog.LevelInfo, "first", "n", 1)
		q.Log(logger, slog.LevelWarn, "second", "n", 2)
		q.Log(nil, slog.LevelWarn, "nobody listens")
		q.Log(slog.New(slog.DiscardHandler), slog.LevelWarn, "nobody listens")
		q.Wait(time.Minute)
		if time.Since(begin) != time.Minute {
			t.Errorf("waited %s for a Logger that blocks, want a minute", time.Since(begin))
		}
		close(release)
		q.Wait(time.Hour)
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) != 2 || !strings.HasSuffix(lines[0], "level=INFO msg=first n=1") || !strings.HasSuffix(lines[1], "level=WARN msg=second n=2") ||
			!strings.Contains(lines[1], "time="+begin.Format("2006-01-02T15:04:05.000")) {
			t.Errorf("logged %q, begun at %s", lines, begin)
		}
	})
}

// What waits for a Logger that blocks is bounded, and what is dropped counted.
func TestQueue_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		logger, text := newHandler(func(int32) { <-release })
		var q Queue
		q.Log(logger, slog.LevelInfo, "blocks")
		synctest.Wait()
		for range mostWaiting + 7 {
			q.Log(logger, slog.LevelInfo, "waits")
		}
		close(release)
		q.Wait(time.Hour)
		if n := strings.Count(text.String(), "msg=waits"); n != mostWaiting || !strings.Contains(text.String(), "messages=7") {
			t.Errorf("%d messages logged, want %d and 7 dropped: %s", n, mostWaiting, text)
		}
	})
}

// A Logger that panics, or ends the goroutine, costs its own message.
func TestQueue_BrokenLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, text := newHandler(func(n int32) {
			switch n {
			case 1:
				panic("no")
			case 2:
				runtime.Goexit()
			}
		})
		var q Queue
		for range 4 {
			q.Log(logger, slog.LevelInfo, "hello")
		}
		synctest.Wait()
		q.Wait(0)
		q.Log(logger, slog.LevelInfo, "hello")
		q.Wait(time.Hour)
		if n := strings.Count(text.String(), "msg=hello"); n != 3 {
			t.Errorf("%d messages logged, want 3: %s", n, text)
		}
	})
}

// A hook is called in its place among the messages, and its panic costs none of them.
func TestQueue_Call(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue
		var order []string
		logger, _ := newHandler(func(n int32) { order = append(order, "message") })
		q.Log(logger, slog.LevelInfo, "one")
		q.Call(func() { order = append(order, "hook"); panic("a hook") })
		q.Log(logger, slog.LevelInfo, "two")
		q.Wait(time.Hour)
		if got := strings.Join(order, " "); got != "message hook message" {
			t.Errorf("order: %s", got)
		}
	})
}
