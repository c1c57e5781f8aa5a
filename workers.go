package geerpc

import (
	"sync"
	"time"
)

// spareTime is how long a goroutine that nobody has needed is kept.
const spareTime = 5 * time.Second

// workers does work on goroutines that have done other work before: what that
// saves is the growing of their stacks. The zero value is ready. It is bounded
// by who uses it: a connection has only so many calls in flight, and a client
// one sender.
type workers struct {
	mu    sync.Mutex        // guards what follows
	idle  []chan<- workload // of goroutines that wait, the latest last; nil sends one home
	spare int               // the fewest that were idle since the last trim
	timer *time.Timer       // of the next trim; nil if there is none
	open  bool              // there has been work since release
}

// A workload is something to be done.
type workload interface{ work() }

// run has a goroutine do the work soon. It does not wait.
func (w *workers) run(l workload) {
	w.mu.Lock()
	w.open = true
	if n := len(w.idle) - 1; n >= 0 {
		next := w.idle[n]
		w.idle = w.idle[:n]
		w.spare = min(w.spare, n)
		w.mu.Unlock()
		next <- l
		return
	}
	w.mu.Unlock()
	go w.work(l) // ends when trim or release sends it home
}

// work does what it is given. Work that ends its goroutine (runtime.Goexit)
// ends it too.
func (w *workers) work(l workload) {
	next := make(chan workload, 1)
	for l != nil {
		l.work()
		if !w.rest(next) {
			return
		}
		l = <-next
	}
}

// rest offers a goroutine for more work, unless nobody is left who may have
// some.
func (w *workers) rest(next chan<- workload) bool {
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
	if w.timer == nil { // release came first
		w.mu.Unlock()
		return
	}
	home := w.idle[:w.spare]
	w.idle = append([]chan<- workload(nil), w.idle[w.spare:]...)
	w.spare = len(w.idle)
	if w.spare == 0 {
		w.timer = nil
	} else {
		w.timer.Reset(spareTime)
	}
	w.mu.Unlock()
	sendHome(home)
}

// release sends all goroutines home, those that still run when they are done.
func (w *workers) release() {
	w.mu.Lock()
	home := w.idle
	w.idle, w.spare, w.open = nil, 0, false
	if w.timer != nil { // which would keep whose workers these are
		w.timer.Stop()
		w.timer = nil
	}
	w.mu.Unlock()
	sendHome(home)
}

func sendHome(idle []chan<- workload) {
	for _, next := range idle {
		next <- nil
	}
}
