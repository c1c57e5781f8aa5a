package geerpc

import (
	"sync"
	"time"
)

// spareTime is how long a goroutine that no call has needed is kept.
const spareTime = 5 * time.Second

// workers runs calls of connections on goroutines that have run others before:
// what that saves is the growing of their stacks. The zero value is ready. It
// is bounded by who uses it, a connection has only so many calls in flight.
type workers struct {
	mu    sync.Mutex     // guards what follows
	idle  []chan<- *conn // of goroutines that wait, the latest last; nil sends one home
	spare int            // the fewest that were idle since the last trim
	timer *time.Timer    // of trim; nil if it does not run
	open  bool           // there has been a call since release
}

// run has a worker look at c's calls soon. It does not wait.
func (w *workers) run(c *conn) {
	w.mu.Lock()
	w.open = true
	if n := len(w.idle) - 1; n >= 0 {
		next := w.idle[n]
		w.idle = w.idle[:n]
		w.spare = min(w.spare, n)
		w.mu.Unlock()
		next <- c
		return
	}
	w.mu.Unlock()
	go w.work(c) // ends when trim or release sends it home
}

// work runs what it is given. A call that ends its goroutine (runtime.Goexit) ends work.
func (w *workers) work(c *conn) {
	next := make(chan *conn, 1)
	for c != nil {
		c.work()
		if !w.rest(next) {
			return
		}
		c = <-next
	}
}

// rest offers a goroutine for the next call, unless the last connection has
// gone.
func (w *workers) rest(next chan<- *conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return false
	}
	w.idle = append(w.idle, next)
	if w.timer == nil {
		w.spare = 0
		w.timer = time.AfterFunc(spareTime, w.trim)
	}
	return true
}

// trim sends those home that were not needed since the last time.
func (w *workers) trim() {
	w.mu.Lock()
	home := w.idle[:w.spare]
	w.idle = append([]chan<- *conn(nil), w.idle[w.spare:]...)
	w.spare = len(w.idle)
	if w.spare == 0 {
		w.timer = nil
	} else {
		w.timer = time.AfterFunc(spareTime, w.trim)
	}
	w.mu.Unlock()
	sendHome(home)
}

// release sends all goroutines home, those that still run when they are done.
func (w *workers) release() {
	w.mu.Lock()
	home := w.idle
	w.idle, w.spare, w.open = nil, 0, false
	w.mu.Unlock()
	sendHome(home)
}

func sendHome(idle []chan<- *conn) {
	for _, next := range idle {
		next <- nil
	}
}
