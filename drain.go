package geerpc

import (
	"context"
	"fmt"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
	"geerpc/internal/usercode"
)

// discardTime is how long a plain client's bytes are read and dropped once the
// last reply has been sent: closing a socket with unread bytes would reset it,
// and the reply with it.
const discardTime = time.Second

// watchIdleness starts to look for Server.IdleTimeout without a call.
func (c *conn) watchIdleness() {
	if idle := c.server.IdleTimeout; idle > 0 {
		c.update(func(s *connState) {
			s.lastCall = time.Now()
			s.idle = time.AfterFunc(idle, c.watchIdle) // end stops it
		})
	}
}

// watchIdle drains the connection if it has had no call for
// Server.IdleTimeout, and looks again later if it has.
func (c *conn) watchIdle() {
	if c.link.Context().Err() != nil {
		return
	}
	rest := c.server.IdleTimeout
	c.update(func(s *connState) {
		if s.open == 0 {
			rest -= time.Since(s.lastCall)
		}
	})
	if rest <= 0 {
		c.drain(c.link.Context())
		return
	}
	c.update(func(s *connState) {
		if s.idle != nil {
			s.idle.Reset(rest)
		}
	})
}

// drain asks the client to leave. One that knows the word goaway is served
// until it says so itself: what it sent before it had heard is accepted. For one
// that does not, the calls that have been read are answered, those that wait for
// a slot included.
func (c *conn) drain(ctx context.Context) {
	if !c.greeted.Load() {
		if !c.heard.Load() {
			c.link.Fail(ErrServerClosed)
		}
		return // it is going to be refused
	}
	if c.saysGoodbye() {
		c.link.Post(link.Control{Kind: codec.Goaway})
		return
	}
	c.leave(ctx)
}

// leave takes no more calls and, when those taken are answered, closes the
// connection; at the latest when ctx ends.
func (c *conn) leave(ctx context.Context) {
	first := false
	c.update(func(s *connState) {
		first = !s.left
		s.left = true
		if first {
			c.leaving.Add(1)
		}
	})
	if !first {
		return
	}
	go func() { // ends with ctx or the connection; serve waits
		defer c.leaving.Done()
		select {
		case <-c.finished:
		case <-ctx.Done():
		case <-c.link.Context().Done():
		}
		c.link.Mute() // what is said to a connection closed for writing would end it
		c.link.Drain(ctx)
		c.hangUp()
		c.link.Fail(errDone)
	}()
}

// lingerTime is how long a client that said goodbye has to close the
// connection, where it can't be told by the end of the stream that it may.
const lingerTime = time.Minute

// hangUp tells the client that nothing follows, and waits for it to close. The
// last answers may be on their way for long, and would be lost if the client
// said anything to a connection that is closed here. A client that said
// goodbye closes when it has its answers. A plain one may never do so.
func (c *conn) hangUp() {
	told := false
	if half, ok := c.link.Conn.(interface{ CloseWrite() error }); ok {
		usercode.Guard(c.server.report, "the CloseWrite of a connection", func() { told = half.CloseWrite() == nil })
	}
	var enough <-chan time.Time
	if patience := c.lingers(told); patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-c.ended:
	case <-enough:
	case <-c.link.Context().Done():
	}
}

// lingers returns how long to wait for the client to close; 0: as long as it
// takes. Shutdown's context and keepalive limit that.
func (c *conn) lingers(told bool) time.Duration {
	switch {
	case !c.saysGoodbye():
		return discardTime
	case !told:
		return lingerTime
	}
	return 0
}

// saysGoodbye reports whether the client is one that closes the connection
// itself when it has been asked to leave, or wants to.
func (c *conn) saysGoodbye() bool { return c.link.Extended() && c.link.PeerHandles(codec.Goaway) }

// Shutdown ends the client in good order: new calls fail with an error that
// wraps ErrShutdown, those in flight go on. It returns nil when they have been
// answered, the connection is closed, and calls made by Go have been received. If
// ctx ends before, it closes the connection, as Close does, and returns ctx's
// error.
func (c *Client) Shutdown(ctx context.Context) error {
	if ctx == nil {
		return errNilContext
	}
	c.leave()
	var err error
	select {
	case <-c.gone:
		err = c.unannounced.Wait(ctx)
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.Close()
	return err
}

// leave stops new calls, tells the server that none will come after those it
// has got by then, and closes the connection when they are answered.
func (c *Client) leave() {
	if c.link.PeerHandles(codec.Goaway) {
		c.link.Post(link.Control{Kind: codec.Goaway})
	}
	c.pending.drain()
}

var errDrained = fmt.Errorf("%w: its calls were answered", ErrShutdown)
