package xclient

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/report"
	"geerpc/internal/waitgroup"
)

// A common is what the parts of an XClient share: its options and its end, the
// goroutines that Close waits for, and a signal that something has changed.
type common struct {
	opt     geerpc.Option
	ctx     context.Context // ends with Close, with geerpc.ErrShutdown as the cause
	cancel  context.CancelCauseFunc
	changed notifier // the list has changed, or a server has been connected to

	redialAll func() // dials the servers again that could not be connected to

	reports    report.Queue    // for the Logger
	background waitgroup.Group // goroutines of spawn
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
	x.background.Add() // before looking at ctx: close cancels it, and then waits
	if x.ctx.Err() != nil {
		x.background.Done()
		return false
	}
	go func() { // ends with f; Close waits, up to its grace
		defer x.background.Done()
		f()
	}()
	return true
}

// close ends all dials and connections, and waits for that, up to its grace.
func (x *common) close() {
	x.cancel(geerpc.ErrShutdown)
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	x.background.Wait(grace)
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
