package registry

import (
	"context"
	"errors"
	"time"
)

const (
	maxWait = time.Minute

	// Changes are collected for a moment, so that servers that start together
	// are told of together, and for longer where the list is long and dear to
	// send: 20 ms, and 120 ms at 10,000 servers.
	minCollect       = 20 * time.Millisecond
	collectPerServer = 10 * time.Microsecond

	// maxLog is how many changes are remembered: who missed more gets the list.
	maxLog = 4096
)

var (
	errWatchers = errors.New("rpc registry: too many watches")
	errEnded    = errors.New("rpc registry: the request was given up, or the registry is stopping")
)

// A watch is how callers wait for a change. GeeRegistry.mu guards it. The zero
// value is that of a registry that has just begun.
type watch struct {
	index      uint64        // of the list; 0: not asked for yet
	log        []string      // the addresses that the latest changes were about, one for each index
	collecting bool          // a change waits to be told
	told       chan struct{} // closed when changes are told; nil if nobody waits
	watchers   int
}

// indexLocked returns the number of the list as it is. It begins with the time,
// so that a registry that was restarted doesn't come by a number that it had
// before.
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

// sinceLocked returns the addresses that changes since an index were about. It
// fails if that is not known any more, or not an index of this registry.
func (w *watch) sinceLocked(index uint64) (addrs []string, ok bool) {
	n := w.indexLocked() - index // huge if the index is not ours
	if n > uint64(len(w.log)) {
		return nil, false
	}
	return w.log[len(w.log)-int(n):], true
}

// changedLocked says that the list is another one as far as a server is
// concerned, and sees to it that those who watch are told.
func (r *GeeRegistry) changedLocked(addr string) {
	r.watch.index = r.watch.indexLocked() + 1
	if len(r.watch.log) == 2*maxLog {
		r.watch.log = append([]string(nil), r.watch.log[maxLog:]...)
	}
	r.watch.log = append(r.watch.log, addr)
	if !r.watch.collecting {
		r.watch.collecting = true
		time.AfterFunc(minCollect+time.Duration(len(r.servers))*collectPerServer, r.tell)
	}
}

// tell wakes those who watch.
func (r *GeeRegistry) tell() {
	r.mu.Lock()
	r.watch.collecting = false
	if r.watch.told != nil {
		close(r.watch.told)
		r.watch.told = nil
	}
	r.mu.Unlock()
	r.answers.mu.Lock()
	defer r.answers.mu.Unlock()
	r.answers.forget(r.index())
}

// wait returns when the list is another than that of index, has been for a
// moment, and so is likely to last; and when wait is over. It fails if too many
// are waiting already, and when the request's context ends: that the list is what
// it was would be no news then, and come too early.
func (r *GeeRegistry) wait(request context.Context, index uint64, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(request, min(wait, maxWait))
	defer cancel()
	if !r.enter() {
		return errWatchers
	}
	defer r.leave()
	for ctx.Err() == nil {
		told := r.untilTold(index)
		if told == nil {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
		}
	}
	if request.Err() != nil {
		return errEnded
	}
	return nil
}

// untilTold returns what to wait for, nil if there is news already.
func (r *GeeRegistry) untilTold(index uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.watch
	if index != w.indexLocked() && !w.collecting {
		return nil
	}
	if w.told == nil {
		w.told = make(chan struct{})
	}
	return w.told
}

func (r *GeeRegistry) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch.watchers >= orDefault(r.MaxWatches) {
		return false
	}
	r.watch.watchers++
	return true
}

func (r *GeeRegistry) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.watchers--
}
