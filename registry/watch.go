package registry

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

const (
	maxWait     = time.Minute
	maxWatchers = 16384

	// Changes are collected for a moment, so that servers that start together
	// are told of together, and for longer where the list is long and dear to
	// send: 20 ms, and 120 ms at 10,000 servers.
	minCollect       = 20 * time.Millisecond
	collectPerServer = 10 * time.Microsecond

	// maxListAge is how old the times of the last beats may be.
	maxListAge = time.Second
)

var errWatchers = errors.New("rpc registry: too many watches")

// A watch is how callers wait for a change. GeeRegistry.mu guards it. The zero
// value is that of a registry that has just begun.
type watch struct {
	index      uint64        // of the list; 0: not asked for yet
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

// changedLocked says that the list is another one, and sees to it that those
// who watch are told.
func (r *GeeRegistry) changedLocked() {
	r.watch.index = r.watch.indexLocked() + 1
	if !r.watch.collecting {
		r.watch.collecting = true
		time.AfterFunc(minCollect+time.Duration(len(r.servers))*collectPerServer, r.tell)
	}
}

// tell wakes those who watch.
func (r *GeeRegistry) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch.collecting = false
	if r.watch.told != nil {
		close(r.watch.told)
		r.watch.told = nil
	}
}

// wait returns when the list is another than that of index, has been for a
// moment, and so is likely to last; and when wait is over or ctx has ended. It
// fails only if too many are waiting already.
func (r *GeeRegistry) wait(ctx context.Context, index uint64, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, min(wait, maxWait))
	defer cancel()
	if !r.enter() {
		return errWatchers
	}
	defer r.leave()
	for ctx.Err() == nil {
		told := r.untilTold(index)
		if told == nil {
			break
		}
		select {
		case <-told:
		case <-ctx.Done():
		}
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
	if r.watch.watchers >= maxWatchers {
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

// A told is the list as it is told, in all its forms, so that they are made
// once for all who ask. It doesn't change.
type told struct {
	made    time.Time
	index   uint64
	servers []ServerItem
	addrs   string // with commas
	object  []byte // JSON
}

// A cache has the list as it was last told.
type cache struct {
	mu   sync.Mutex // held while a list is made
	last *told      // or nil
}

// tellable returns the list of now. With fresh the times of the last beats are
// no older than a second; otherwise, they may be.
func (r *GeeRegistry) tellable(fresh bool) *told {
	r.mu.Lock()
	index := r.watch.indexLocked()
	r.mu.Unlock()
	r.list.mu.Lock()
	defer r.list.mu.Unlock()
	last := r.list.last
	if last == nil || last.index < index || fresh && time.Since(last.made) > maxListAge {
		last = makeTold(r.copy())
		r.list.last = last
	}
	return last
}

func makeTold(servers []ServerItem, index uint64) *told {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr
	}
	object, _ := json.Marshal(struct { // strings, numbers and times: it can't fail
		Index   uint64       `json:"index"`
		Servers []ServerItem `json:"servers"`
	}{index, servers})
	return &told{time.Now(), index, servers, strings.Join(addrs, ","), object}
}
