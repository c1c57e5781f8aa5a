package xclient

import (
	"context"
	"sync"
	"sync/atomic"

	"geerpc"
	"geerpc/internal/report"
)

// Shutdown ends the XClient in good order: new calls fail with
// geerpc.ErrShutdown, those under way go on, with all their attempts, and those
// made by Go until they have been received. It returns nil when they have ended
// and the connections are closed. If ctx ends before, or Close is called, the
// rest is ended as by Close, and Shutdown returns ctx's error or nil. The
// Discovery is not touched. Shutdown may be called again.
func (xc *XClient) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return errNilContext
	}
	var err error
	select {
	case <-xc.calls.drain():
	case <-xc.set.ctx.Done():
	case <-ctx.Done():
		err = ctx.Err()
	}
	xc.Close()
	return err
}

// Close closes all connections; calls in flight fail with an error that wraps
// geerpc.ErrShutdown, and none is made again. It returns nil when none are left,
// and may be called again. The Discovery is not touched. A Dialer, or method of
// the Discovery, that hangs keeps Close for no longer than two seconds.
func (xc *XClient) Close() error {
	xc.set.close()
	xc.set.reports.Wait(report.Grace)
	return nil
}

// begin admits a call, which must end with xc.calls.end, unless the XClient is
// closed or being shut down.
func (xc *XClient) begin() error {
	if xc.set.closed() || !xc.calls.begin() {
		return geerpc.ErrShutdown
	}
	return nil
}

// A callCounter counts the calls under way, and admits no more once drain has
// been called. The zero value is ready.
type callCounter struct {
	count    atomic.Int64
	draining atomic.Bool

	mu   sync.Mutex    // guards none
	none chan struct{} // closed when, draining, no call is under way; made by drain
}

// begin counts a call, or reports false if no more are admitted.
func (c *callCounter) begin() bool {
	c.count.Add(1) // before looking at draining: drain sets that, and then looks here
	if c.draining.Load() {
		c.end()
		return false
	}
	return true
}

func (c *callCounter) end() {
	if c.count.Add(-1) == 0 && c.draining.Load() {
		c.drained()
	}
}

// drain admits no more calls, and returns a channel that is closed when none is
// under way.
func (c *callCounter) drain() <-chan struct{} {
	c.mu.Lock()
	if c.none == nil {
		c.none = make(chan struct{})
	}
	c.mu.Unlock()
	c.draining.Store(true)
	if c.count.Load() == 0 {
		c.drained()
	}
	return c.none
}

func (c *callCounter) drained() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count.Load() != 0 { // one was admitted before draining was set; its end comes here
		return
	}
	select {
	case <-c.none:
	default:
		close(c.none)
	}
}
