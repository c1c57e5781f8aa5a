package geerpc

import "sync"

// maxIdleWorkers is how many goroutines a server keeps for calls to come. What
// is saved by keeping them is the growing of their stacks.
const maxIdleWorkers = 256

// workers runs calls, each on a goroutine that may have run others before. The
// zero value is ready. It is bounded by who uses it: a connection has only so
// many calls in flight.
type workers struct {
	mu   sync.Mutex     // guards idle
	idle []chan<- *call // of goroutines that wait, the latest last; nil sends one home
}

// run runs c soon. It does not wait.
func (w *workers) run(c *call) {
	w.mu.Lock()
	if n := len(w.idle) - 1; n >= 0 {
		next := w.idle[n]
		w.idle = w.idle[:n]
		w.mu.Unlock()
		next <- c
		return
	}
	w.mu.Unlock()
	go w.work(c) // ends when too many are idle, or when release sends it home
}

// work runs calls. A call that ends its goroutine (runtime.Goexit) ends work.
func (w *workers) work(c *call) {
	next := make(chan *call, 1)
	for c != nil {
		c.run()
		if !w.rest(next) {
			return
		}
		c = <-next
	}
}

// rest offers a goroutine for the next call, unless enough are waiting.
func (w *workers) rest(next chan<- *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) >= maxIdleWorkers {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// release sends the idle goroutines home.
func (w *workers) release() {
	w.mu.Lock()
	idle := w.idle
	w.idle = nil
	w.mu.Unlock()
	for _, next := range idle {
		next <- nil
	}
}
