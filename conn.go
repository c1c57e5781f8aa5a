package geerpc

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/debugpage"
	"geerpc/internal/handshake"
	"geerpc/internal/lazyctx"
	"geerpc/internal/link"
	"geerpc/internal/usercode"
)

// A conn is a connection being served:
//
//	begin     TLS, the protocol is recognized, handshake, keepalive
//	reading   one goroutine at a time reads messages, and runs the calls that are
//	          quick (inline.go); dispatch.go has what it does with each message
//	          other calls have goroutines of their own (run.go)
//	          whoever has run calls answers them (answer.go)
//	end       waits until all is answered, and closes
type conn struct {
	server *Server
	link   *link.Link
	since  time.Time
	heard  atomic.Bool // a first byte has arrived
	shaken atomic.Bool // the handshake is done, and has set peer to pingInterval

	peer          Peer
	protocol      *Protocol     // nil until it is recognized
	refusal       *Error        // with which all calls are answered; nil: they are served
	codecType     codec.Type    // as the client wants it
	handleTimeout time.Duration // until a call is answered, done or not; 0: no limit
	pingInterval  time.Duration // how often each side must be heard; 0: nothing was agreed

	afterConnect bool  // it went on after CONNECT, and so without HTTP
	brief        bool  // it is a request over HTTP, counts as no connection, and ends by itself
	onlyOne      bool  // call is read, or batch
	readOne      bool  // a call has been read; only the reader looks
	readErr      error // with which reading ended before that, for who waits for serve to return

	slots  slots
	reader reader
	clock  lazyctx.Clock // of the calls' contexts

	mu    sync.Mutex // guards state; see update
	state connState

	allAnswered chan struct{}  // closed when the last answer has been encoded and no call can follow
	closers     sync.WaitGroup // the goroutine of closeAnswered
	ending      sync.WaitGroup // counts end, from the start; a reader that was replaced waits for it
}

// connState is what more than one goroutine changes about a conn, except its slots.
type connState struct {
	calls       map[uint64]*servedCall // those with a goroutine that have not been answered, by seq
	unanswered  int                    // calls, and handle timeouts about to answer, that still owe an answer
	askedToEnd  bool                   // the client has been asked to leave
	noNewCalls  bool
	allAnswered bool

	running bool          // of an Ordered server: a goroutine runs the queue
	queue   []*servedCall // of an Ordered server: calls that have not begun

	events []debugpage.Event // the latest, for the debug page

	idle     *time.Timer   // with Server.IdleTimeout: runs checkIdleness
	lastCall time.Duration // with Server.IdleTimeout: when a call last ended, by monotime
}

// update is the gate through which state changes, and the one place that decides
// when a connection has done its work.
func (c *conn) update(f func(s *connState)) {
	c.mu.Lock()
	f(&c.state)
	last := c.state.noNewCalls && c.state.unanswered == 0 && !c.state.allAnswered
	if last {
		c.state.allAnswered = true
	}
	c.mu.Unlock()
	if last {
		close(c.allAnswered)
	}
}

// newConn prepares to serve rwc, with a protocol unless that is to be recognized.
func newConn(s *Server, rwc io.ReadWriteCloser, p *Protocol) *conn {
	c := &conn{
		server:   s,
		since:    time.Now(),
		protocol: p,

		allAnswered: make(chan struct{}),
	}
	c.ending.Add(1)
	c.slots.most = int64(s.maxInFlight())
	c.link = link.New(rwc, link.Config{
		MaxRead:        limit(s.MaxMessageBytes, DefaultMaxMessageBytes),
		MaxDefinitions: limit(s.MaxDefinitionBytes, DefaultMaxDefinitionBytes),
		FlushTimeout:   limit(s.FlushTimeout, DefaultFlushTimeout),
		Report:         s.report,
	})
	c.clock.Parent = c.link.Context()
	return c
}

// serve serves the connection until the client has hung up and its calls are
// answered, or the connection has failed and its methods have returned.
func (c *conn) serve() {
	if next := c.begin(); next != nil {
		next()
	}
}

// begin does what comes before the first message, and returns how the connection goes on:
// usually its messages are read. It returns nil if the connection has ended instead.
func (c *conn) begin() (next func()) {
	err := errHandshakeExit
	defer func() {
		if next != nil {
			return
		}
		if !c.shaken.Load() {
			c.server.noteRefused(c, err)
		}
		c.end(err)
	}()
	defer c.link.Caught("a handshake", &err)
	if err = c.secure(); err == nil {
		next, err = c.open()
	}
	return next
}

// open recognizes the protocol, and makes the codec.
func (c *conn) open() (next func(), err error) {
	if c.protocol == nil {
		if next, err = c.recognize(); next != nil || err != nil {
			return next, err
		}
	} else {
		c.heard.Store(true) // the caller of ServeCodec knows the client
		if err := c.accept(nil); err != nil {
			return nil, err
		}
	}
	if !c.link.Extended() {
		c.slots.freed = make(chan struct{}, 1)
	}
	c.shaken.Store(true)
	if c.server.conns.IsStopped() { // Shutdown may have passed by
		c.drain(c.link.Context())
	}
	c.keepAlive()
	c.watchIdleness()
	if c.protocol == GeeRPC {
		if err := handshake.SkipNewline(c.link); err != nil {
			return nil, err
		}
	}
	return c.readMessages, nil
}

// readMessages reads until the connection is gone.
func (c *conn) readMessages() {
	defer c.ending.Wait() // another goroutine may be the reader by then
	c.reading(0)
}

var errHandshakeExit = errors.New("the handshake ended the goroutine that it ran on")

// end does what remains when nothing is read any more, because of err. Its steps are
// deferred, because the connection and the codec may be a user's, and end our
// goroutine when they are closed.
func (c *conn) end(err error) {
	defer c.ending.Done()
	defer c.closers.Wait()
	defer c.link.Close()
	defer c.link.Fail(errDone)
	defer c.hangUpUnread()
	defer c.awaitCalls()
	if !c.readOne {
		c.readErr = err
	}
	if err != io.EOF || c.link.Extended() {
		// It is gone, or broken. (Without the extended layout the end of the stream
		// only means that there are no more requests.)
		c.link.Fail(usercode.Error(err))
		c.server.lost(c)
	} else if c.protocol == NetRPC { // whose clients hang up when they leave, and not before
		c.cancelCalls()
	}
}

// awaitCalls takes no more calls, and returns when all have been answered.
func (c *conn) awaitCalls() {
	c.update(func(s *connState) {
		s.noNewCalls = true
		s.unanswered -= c.reader.counted // of a batch that is not read to its end
		if s.idle != nil {
			s.idle.Stop()
			s.idle = nil
		}
	})
	c.probe()
	<-c.allAnswered
	c.link.Drain(c.link.Context())
}

// hangUpUnread hangs up in good order if not all has been read that the client may send.
func (c *conn) hangUpUnread() {
	_, open := c.link.Conn.(leftOpen)
	web := c.brief || c.protocol == HTTP // net/http has read, and hung up
	if !open && !web && c.link.In.Err() == nil && c.link.Cause() == nil {
		c.link.HangUp(discardTime, errDone)
	}
}

// probeInterval is how often a client that sends no more is asked whether it is there.
const probeInterval = time.Second

// probe returns when all calls are answered or the client is gone. One that sends no more
// may have gone, or wait for its answers; what its protocol ignores finds that out: it is
// an error to send to one that is gone.
func (c *conn) probe() {
	if c.protocol == nil || c.protocol.ignores == "" {
		return
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.allAnswered:
			return
		case <-tick.C:
		}
		if c.link.Say([]byte(c.protocol.ignores)) != nil {
			return
		}
	}
}

var errDone = errors.New("connection closed in good order")

// slots are the calls in flight on a connection. The reader takes them, and whoever
// answers calls frees them.
type slots struct {
	most  int64         // 0: no limit
	taken atomic.Int64  // by calls that have been started
	used  atomic.Int64  // so far
	freed chan struct{} // on the plain layout, capacity 1: a slot may be free, look again
}

// full reports whether no slot is left, counting calls that are read and not started.
func (s *slots) full(notStarted int) bool {
	return s.most > 0 && s.taken.Load()+int64(notStarted) >= s.most
}

func (s *slots) take(n int) {
	s.taken.Add(int64(n))
	s.used.Add(int64(n))
}

func (s *slots) free(n int) {
	s.taken.Add(-int64(n))
	select {
	case s.freed <- struct{}{}:
	default: // the reader does not wait, or is going to look anyway
	}
}
