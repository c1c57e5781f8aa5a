package xclient

import (
	"context"
	"sync"
	"time"

	"geerpc"
)

const (
	graceTime    = 30 * time.Second // how long, at least, servers are kept that a registry has forgotten
	tickInterval = 5 * time.Second
	idleTicks    = 12 // without a use, after which the watch ends
)

var errWatchEnded = notSent(geerpc.CodeUnavailable, "rpc discovery: Update or Close came before the registry's answer")

// A watch keeps the list of a GeeRegistryDiscovery up to date. It has a goroutine
// for each source, and one that waits for those.
type watch struct {
	d      *GeeRegistryDiscovery
	ctx    context.Context // ends with the watch
	cancel context.CancelFunc

	idle     int  // ticks since the list was last used; guarded by d.state
	pending  int  // sources that have neither answered nor failed yet; guarded by d.state
	answered bool // one source has listed servers, or none is pending; guarded by d.state

	firstAnswer chan struct{} // closed once answered
	err         error         // set before that; nil if there are servers
	done        chan struct{} // closed when nothing is left running
}

// useLocked notes that the list is used, and returns the running watch.
func (d *GeeRegistryDiscovery) useLocked() *watch {
	d.used.Store(true)
	if d.watch == nil || d.watch.ctx.Err() != nil {
		return d.beginLocked()
	}
	return d.watch
}

// beginLocked starts a watch. It replaces the running one, if any.
func (d *GeeRegistryDiscovery) beginLocked() *watch {
	prev := d.watch
	if prev != nil {
		prev.cancel()
	}
	w := &watch{d: d, pending: len(d.sources), firstAnswer: make(chan struct{}), done: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	d.watch = w
	go w.run(prev) // ends with w: by Close, Update or the next watch, at the latest when unused; join waits
	return w
}

// stopLocked ends the watch, if there is one, and returns it. Answers that arrive
// from now on are ignored.
func (d *GeeRegistryDiscovery) stopLocked() *watch {
	d.used.Store(false)
	if d.watch != nil {
		d.watch.cancel()
	}
	return d.watch
}

// join waits until the goroutines of the watch, and of those before it, are gone.
func (w *watch) join() {
	if w != nil {
		<-w.done
	}
}

// run watches until the watch ends. It first waits for the previous watch, so that
// there is one request at a time to each registry.
func (w *watch) run(prev *watch) {
	defer close(w.done)
	prev.join()
	var wg sync.WaitGroup
	for _, s := range w.d.sources {
		wg.Go(func() { w.subscribe(s) }) // ends with the watch
	}
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for w.ctx.Err() == nil {
		select {
		case <-w.ctx.Done():
		case <-ticker.C:
			w.tick()
		}
	}
	wg.Wait()
	w.d.client.CloseIdleConnections()
}

// tick removes servers whose grace time is over, and ends the watch if the list has
// not been used for idleTicks.
func (w *watch) tick() {
	d := w.d
	d.state.Lock()
	defer d.state.Unlock()
	if w.ctx.Err() != nil {
		return
	}
	d.mergeLocked(time.Now())
	if d.used.Swap(false) {
		w.idle = 0
		return
	}
	if w.idle++; w.idle == idleTicks {
		d.stopLocked()
	}
}

// note records what a source has answered, unless the watch has ended, and returns
// the error that the source had before.
func (w *watch) note(s *source, a answer, err error, first bool) (before error, noted bool) {
	d, now := w.d, time.Now()
	d.state.Lock()
	defer d.state.Unlock()
	if w.ctx.Err() != nil {
		return nil, false
	}
	before = s.err
	s.notBefore = now.Add(minPause)
	if err != nil {
		s.fail(err, now)
	} else {
		s.take(a, now)
		d.due = now.Add(d.timeout)
		if a.Index == 0 && len(a.Servers) > 0 {
			s.notBefore = d.due
		}
	}
	d.mergeLocked(now)
	if first {
		w.pending--
	}
	w.releaseWaitersLocked(err == nil && len(s.servers) > 0)
	return before, true
}

// releaseWaitersLocked ends all calls of wait once a source has listed servers, or
// all have answered or failed.
func (w *watch) releaseWaitersLocked(listed bool) {
	if w.answered || !listed && w.pending > 0 {
		return
	}
	if !listed {
		w.err = w.d.errFailedLocked()
	}
	w.answered = true
	close(w.firstAnswer)
}

// wait waits for the first answer. The error says why there are no servers, or that
// ctx or the watch has ended.
func (w *watch) wait(ctx context.Context) error {
	select {
	case <-w.firstAnswer:
		return w.err
	case <-w.ctx.Done():
		return errWatchEnded
	case <-ctx.Done():
		return notSent(geerpc.CodeOf(ctx.Err()), "rpc discovery: waiting for the registry: %w", ctx.Err())
	}
}
