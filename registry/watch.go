package registry

import (
	"context"
	"errors"
	"time"
)

const (
	maxWait = time.Minute

	// A change is announced after a moment, together with those that follow it:
	// servers often start together. The longer the list is, the dearer is sending
	// it, and the longer the moment: 20 ms, and 120 ms at 10,000 servers.
	minNoticeDelay       = 20 * time.Millisecond
	noticeDelayPerServer = 10 * time.Microsecond

	// maxChanges is how many changes are remembered, at least. Readers that missed
	// more get the list.
	maxChanges = 4096
)

var (
	errWatchers = errors.New("rpc registry: too many watches")
	errEnded    = errors.New("rpc registry: the request was given up, or the registry is stopping")
)

// A watch is how callers wait for changes. GeeRegistry.mu guards it. The zero
// value is ready.
type watch struct {
	index     uint64        // of the list; 0: not chosen yet
	changed   []string      // the addresses of the latest changes, one for each index
	noticeDue bool          // a timer for notifyWatchers is set
	notice    chan struct{} // closed by notifyWatchers; nil if nobody waits
	watchers  int
}

// indexLocked returns the index of the current list. The first is made of the
// time, so that a restarted registry doesn't use the same numbers again.
func (w *watch) indexLocked() uint64 {
	if w.index == 0 {
		w.index = uint64(time.Now().UnixNano())
	}
	return w.index
}

func (r *GeeRegistry) index() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.watch.indexLocked()
}

// sinceLocked returns the addresses of the servers that changed since an index, in
// order and with duplicates. It fails if the changes are not remembered, or the
// index is not of this registry.
func (w *watch) sinceLocked(index uint64) (addrs []string, ok bool) {
	n := w.indexLocked() - index // huge if the index is not ours
	if n > uint64(len(w.changed)) {
		return nil, false
	}
	return w.changed[len(w.changed)-int(n):], true
}

// changedLocked notes that a server has changed, come or gone. Watchers are
// notified in a moment.
func (r *GeeRegistry) changedLocked(addr string) {
	r.watch.index = r.watch.indexLocked() + 1
	if len(r.watch.changed) == 2*maxChanges {
		r.watch.changed = append([]string(nil), r.watch.changed[maxChanges:]...)
	}
	r.watch.changed = append(r.watch.changed, addr)
	if !r.watch.noticeDue {
		r.watch.noticeDue = true
		time.AfterFunc(minNoticeDelay+time.Duration(len(r.servers))*noticeDelayPerServer, r.notifyWatchers)
	}
}

// notifyWatchers wakes the watches.
func (r *GeeRegistry) notifyWatchers() {
	r.mu.Lock()
	r.watch.noticeDue = false
	if r.watch.notice != nil {
		close(r.watch.notice)
		r.watch.notice = nil
	}
	r.mu.Unlock()
	r.answers.mu.Lock()
	defer r.answers.mu.Unlock()
	r.answers.dropOldChanges(r.index())
}

// wait returns when the list has another index and watchers have been notified of
// that, or when the time is over. It fails if too many watches are waiting, and
// when the request's context ends: to answer then that nothing has changed would
// come too early.
func (r *GeeRegistry) wait(request context.Context, index uint64, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(request, min(wait, maxWait))
	defer cancel()
	if !r.addWatcher() {
		return errWatchers
	}
	defer r.removeWatcher()
	for ctx.Err() == nil {
		notice := r.nextNotice(index)
		if notice == nil {
			return nil
		}
		select {
		case <-notice:
		case <-ctx.Done():
		}
	}
	if request.Err() != nil {
		return errEnded
	}
	return nil
}

// nextNotice returns what to wait for; nil if the list has another index already.
func (r *GeeRegistry) nextNotice(index uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.watch
	if index != w.indexLocked() && !w.noticeDue {
		return nil
	}
	if w.notice == nil {
		w.notice = make(chan struct{})
	}
	return w.notice
}

// addWatcher reports false if there are too many.
func (r *GeeRegistry) addWatcher() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch.watchers >= orDefault(r.MaxWatches) {
		return false
	}
	r.watch.watchers++
	return true
}

func (r *GeeRegistry) removeWatcher() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.watchers--
}
