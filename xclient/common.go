package xclient

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/report"
)

// A common is what the parts of an XClient share: its options and its end, the
// goroutines that Close waits for, and a signal that something has changed.
type common struct {
	opt     geerpc.Option
	ctx     context.Context // ends with Close, with geerpc.ErrShutdown as the cause
	cancel  context.CancelCauseFunc
	changed notifier // the list has changed, or a server has been connected to

	redialAll func() // dials the servers again that could not be connected to

	reports report.Queue

	mu      sync.Mutex    // guards what follows
	running int           // goroutines of spawn
	ended   chan struct{} // closed when there are none after Close; nil: nobody waits
}

// log reports a server's change of state to the Logger.
func (x *common) log(s *Server, level slog.Level, what string, args ...any) {
	x.reports.Log(x.opt.Logger, level, "rpc xclient: server "+what, append([]any{"server", s.Endpoint().Addr}, args...)...)
}

// closeGrace is how long Close waits for what runs in the background: a little
// longer than our own code takes at most. A user's Dialer or Discovery may hang.
const closeGrace = 2 * time.Second

// spawn runs f on a goroutine that Close waits for. After Close it does nothing
// and returns false.
func (x *common) spawn(f func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil {
		return false
	}
	x.running++
	go func() { // ends with f; Close waits, up to its grace
		defer x.end()
		f()
	}()
	return true
}

func (x *common) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running--
	if x.running == 0 && x.ended != nil {
		close(x.ended)
		x.ended = nil
	}
}

// close ends all dials and connections, and waits for that.
func (x *common) close() {
	x.mu.Lock()
	x.cancel(geerpc.ErrShutdown)
	if x.running > 0 && x.ended == nil {
		x.ended = make(chan struct{})
	}
	ended := x.ended
	x.mu.Unlock()
	if ended == nil {
		return
	}
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C: // a user's Dialer or Discovery hangs
	}
}

// A notifier wakes all who wait for the next change. The zero value is ready.
type notifier struct{ ch atomic.Pointer[chan struct{}] }

// next returns a channel that is closed at the next change.
func (n *notifier) next() <-chan struct{} {
	for {
		if next := n.ch.Load(); next != nil {
			return *next
		}
		next := make(chan struct{})
		n.ch.CompareAndSwap(nil, &next)
	}
}

func (n *notifier) notify() {
	if next := n.ch.Swap(nil); next != nil {
		close(*next)
	}
}

// notSent returns the error of a call that failed before it was sent. The
// format is that of fmt.Errorf.
func notSent(code geerpc.Code, format string, a ...any) error {
	err := geerpc.Errorf(code, format, a...)
	var e *geerpc.Error
	errors.As(err, &e)
	e.Where, e.Ran = geerpc.InClient, geerpc.RanNever
	return err
}
