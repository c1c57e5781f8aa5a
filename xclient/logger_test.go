package xclient

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// A blockedWriter does not return until it is closed.
type blockedWriter chan struct{}

func (w blockedWriter) Write(p []byte) (int, error) { <-w; return len(p), nil }

// TestD136_LoggerThatBlocks: a registry that failed is asked again while the
// Logger is still busy with that, and Close returns.
func TestD136_LoggerThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		release := make(blockedWriter)
		defer close(release)
		d.Logger = slog.New(slog.NewTextHandler(release, nil))
		wantListAtOnce(t, d, "tcp@a:1")
		r.fails(fault500)
		for range 4 {
			time.Sleep(watchWait)
			wantListAtOnce(t, d, "tcp@a:1") // it is used
		}
		r.fails(nil)
		r.lists("tcp@b:1")
		time.Sleep(2 * watchWait)
		wantListAtOnce(t, d, "tcp@b:1")
		if begin := time.Now(); d.Close() != nil || time.Since(begin) > time.Second {
			t.Errorf("Close took %s", time.Since(begin))
		}
	})
}
