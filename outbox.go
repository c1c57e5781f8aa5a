package geerpc

import (
	"runtime"
	"sync"
)

// An outbox is the queue of calls that wait to be sent. One goroutine, the sender,
// encodes them all: its stack and the buffers it writes to are in the processor's
// cache, where those of a thousand callers are not. It starts with the first call that
// is queued and stays as long as the connection, since starting one for each burst of
// calls would grow a new stack each time. The zero value is empty.
//
// A caller must not be the sender: slow arguments of other calls could delay it past
// its own deadline.
type outbox struct {
	mu      sync.Mutex    // guards what follows
	calls   []*clientCall // the oldest first
	next    int           // index of the oldest; those before it have been taken
	started bool          // there is a sender, or one is about to start
	busy    bool          // the sender works, or is about to
	closed  bool          // the sender must end
	wake    sync.Cond     // signalled when busy or closed is set
}

// keptOutbox limits the capacity that an empty outbox keeps.
const keptOutbox = 1 << 10

// add adds a call, and reports whether the caller must start the sender.
func (o *outbox) add(call *clientCall) (start bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, call)
	if !o.busy {
		o.busy = true
		o.wake.Signal()
	}
	start = !o.started
	o.started = true
	return start
}

// take removes and returns the oldest call, or nil if there is none at present.
func (o *outbox) take() *clientCall {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next == len(o.calls) {
		o.calls, o.next = o.calls[:0], 0
		if cap(o.calls) > keptOutbox {
			o.calls = nil
		}
		return nil
	}
	call := o.calls[o.next]
	o.calls[o.next] = nil // or the outbox would keep the call from being freed
	o.next++
	return call
}

// wait is how the sender waits for calls. It reports false once the outbox is closed.
func (o *outbox) wait() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake.L = &o.mu
	for o.next == len(o.calls) && !o.closed {
		o.busy = false
		o.wake.Wait()
	}
	return !o.closed
}

// close ends the sender. What is queued stays for take.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake.Signal()
}

// isBusy reports whether the sender works.
func (o *outbox) isBusy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy
}

// enqueue puts a call into the outbox, and starts the sender if there is none.
func (c *Client) enqueue(call *clientCall) {
	call.state.Store(queued)
	if c.outbox.add(call) && c.link.Hold() {
		go c.sendLoop() // ends with the connection; Close waits
	}
	// terminate may have emptied the outbox before the call was added.
	if c.inFlight.Ended() && call.state.CompareAndSwap(queued, abandoned) {
		c.deliver(call, nil, c.cutOff())
	}
}

// closeOutbox ends the sender, and the calls that are queued: the sender may not come
// to them, as long as arguments are being encoded.
func (c *Client) closeOutbox() {
	c.outbox.close()
	for call := c.outbox.take(); call != nil; call = c.outbox.take() {
		if call.state.CompareAndSwap(queued, unsent) {
			c.deliver(call, nil, c.cutOff())
		}
	}
}

// sendLoop is the sender: it sends what callers put into the outbox, until the
// connection ends.
func (c *Client) sendLoop() {
	returned := false
	defer func() {
		if !returned { // what is encoded has ended our goroutine
			go c.sendLoop() // ends with the connection
			return
		}
		c.link.Release()
	}()
	for c.outbox.wait() && c.link.Cause() == nil {
		c.sendQueued()
	}
	returned = true
}

// sendQueued sends what is queued now, once there is room for a call.
func (c *Client) sendQueued() {
	c.inFlight.Reserve()
	defer c.inFlight.Release()
	defer c.link.Flush(false) // deferred, because arguments that end our goroutine come after others
	c.sendBatch()
	runtime.Gosched() // lets callers add more, which is sent with the same flush
	c.sendBatch()
}

// sendBatch sends what is queued, as far as there is room.
func (c *Client) sendBatch() {
	c.link.SendTogether(func(alive bool) bool {
		if !alive || !c.inFlight.HasRoom() {
			return false
		}
		call := c.outbox.take()
		if call != nil {
			c.encodeQueued(call)
		}
		return call != nil
	})
}

// encodeQueued sends one call and gives it back to its caller. The sender holds the
// write turn.
func (c *Client) encodeQueued(call *clientCall) {
	if !call.state.CompareAndSwap(queued, encoding) {
		return // abandoned
	}
	err := errEncoderExit
	defer func() {
		end, owned := uint32(notQueued), false
		if err != nil {
			end, owned = unsent, call.seq == 0 || c.inFlight.Claim(call.seq) != nil
		}
		if call.state.Swap(end) == callerWaits {
			call.done <- struct{}{}
		}
		if owned {
			c.deliver(call, nil, err)
		}
	}()
	err = c.put(call, true)
}

var errEncoderExit error = &Error{Code: CodeInvalidArgument, Where: InClient, Ran: RanNever,
	Message: "the arguments ended the goroutine that encoded them"}
