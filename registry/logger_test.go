package registry

import (
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A blockedWriter does not return until it is closed.
type blockedWriter chan struct{}

func (w blockedWriter) Write(p []byte) (int, error) { <-w; return len(p), nil }

// TestD136_LoggersThatBlock: beats go on, and a registry answers, while their
// Loggers are busy with what went wrong before.
func TestD136_LoggersThatBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(blockedWriter)
		defer close(release)
		logger := func() *slog.Logger { return slog.New(slog.NewTextHandler(release, nil)) } // each with a mutex of its own
		r := New(time.Minute)
		r.Logger = logger()
		w := &web{hosts: map[string]http.Handler{"one": r}}
		w.down.Store("one")
		reg := Register(Config{Registries: []string{"http://one"}, Addr: "tcp@a:1", Client: w.client(), Logger: logger()})
		w.down.Store("")
		time.Sleep(time.Minute)
		if list(r) != "tcp@a:1" || reg.Err() != nil {
			t.Errorf("the list is %q, error %v", list(r), reg.Err())
		}
		begin := time.Now()
		if err := reg.Close(); err != nil || time.Since(begin) > time.Second || list(r) != "" {
			t.Errorf("Close: %v after %s, the list is %q", err, time.Since(begin), list(r))
		}
	})
}
