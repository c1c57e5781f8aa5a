// Package link is messages on a connection: a codec on top of the wire, and what
// both ends of a connection need beside calls and replies. It knows of kinds of
// messages, and nothing of methods.
//
//	Put, PutError, SendTogether   Post (ping, pong, cancel, goaway, refusals)
//	          │                      │ sent by a goroutine of the link's own
//	          ▼                      ▼
//	     ┌─────────── the write turn ──────────┐
//	     │ codec.Write → wire.Writer ──────────┼─→ connection
//	     └─────────────────────────────────────┘
//	ReadHeader, ReadBody ← codec ← wire.Reader ←── connection
//
// The write turn is the right to encode. Whoever holds it (Out.Begin to Out.End)
// is the only one who encodes, because a codec's output is one stream. What is
// encoded is gathered, and leaves with the next Flush.
//
// What the goroutine that reads must say, it posts, because it must never wait for a
// peer that does not read. (A server's reader writes the answers of calls that it runs
// itself, and is replaced if that takes long.)
package link

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"geerpc/codec"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// A Link is one end of a connection. It has no goroutine of its own while nothing
// is posted.
type Link struct {
	Conn io.ReadWriteCloser
	In   *wire.Reader
	Out  *wire.Writer
	raw  *wire.Reader // of Conn; the same as In, unless that decompresses
	Wire *wire.Conn   // In and Out as a codec sees them, with the limits of messages

	// Codec is set by Open and replaced by Extend.
	Codec codec.Codec

	whole    bool  // the codec has the whole message at hand when it returns a header
	extended bool  // both peers transmit whole headers
	peer     Kinds // that the peer handles

	goawaySent bool // belongs to the holder of the write turn

	arrived time.Duration // belongs to who reads: when messages came, by monotime; 0: nobody has asked since

	report usercode.Reporter

	// ctx ends with the link. Its cause says why.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards what follows
	controls []Control  // posted and not yet sent
	posted   Kinds      // of the pings and pongs among them: one is enough
	sending  bool       // a goroutine sends them
	muted    bool       // no more are taken
	alive    keepaliveState

	controlling chan struct{} // capacity 1: full from when controls are taken until they are sent

	wg     sync.WaitGroup // goroutines that send controls, and those that hold the link
	shutWG sync.WaitGroup // the goroutine that closes Conn, counted from the start

	// The header belongs to the holder of the write turn. It is at the end, because it
	// changes with every message, and other goroutines read what is above.
	header codec.Header // of the message being encoded
}

// A Config is what a link needs to know of an Option or a Server. A zero is no
// limit.
type Config struct {
	MaxRead        int           // bytes in a message
	MaxDefinitions int           // bytes of gob type definitions from the peer
	FlushTimeout   time.Duration // for the peer to take a byte
	Report         usercode.Reporter
}

// New returns the link over conn.
func New(conn io.ReadWriteCloser, c Config) *Link {
	l := &Link{Conn: conn, report: c.Report, controlling: make(chan struct{}, 1)}
	l.shutWG.Add(1)
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	if c.FlushTimeout == 0 {
		c.FlushTimeout = -1
	}
	l.In = wire.NewReader(conn)
	l.raw = l.In
	l.Out = wire.NewWriter(conn, c.FlushTimeout, l.shut)
	l.Wire = &wire.Conn{Reader: l.In, Writer: l.Out, Closer: closer{l}, MaxRead: c.MaxRead, MaxReadDefinitions: c.MaxDefinitions}
	return l
}

// Context returns a context that ends with the link.
func (l *Link) Context() context.Context { return l.ctx }

// Whole reports whether the codec has the whole message at hand when it returns a
// header.
func (l *Link) Whole() bool { return l.whole }

// Extended reports whether both peers transmit whole headers.
func (l *Link) Extended() bool { return l.extended }

// PeerHandles reports whether the peer handles messages of a kind.
func (l *Link) PeerHandles(k codec.Kind) bool { return l.peer.Has(k) }

// Received returns how many bytes have come from the peer, Sent how many it has taken. They
// may be called by any goroutine once the handshake is done.
func (l *Link) Received() int64 { return l.raw.Received() }

// Sent is like Received.
func (l *Link) Sent() int64 { return l.Out.Sent() }

// closer is how a codec closes the link.
type closer struct{ l *Link }

func (c closer) Close() error {
	c.l.Fail(net.ErrClosed)
	return nil
}

// Open makes the codec, which may be a user's. Nothing is read or written.
func (l *Link) Open(newCodec codec.NewCodecFunc) (err error) {
	defer l.Caught("making a codec", &err)
	if l.Codec = newCodec(l.Wire); l.Codec == nil {
		return errors.New("the codec's constructor returned nil")
	}
	_, l.whole = l.Codec.(codec.Extended)
	return nil
}

// Extend puts the extended layout in force, with a peer that handles some kinds
// of messages. The codec must be Extended.
func (l *Link) Extend(peer Kinds) {
	l.Codec = l.Codec.(codec.Extended).Extend()
	l.extended, l.peer = true, peer
}

// Fail closes the link because of err. Only the first call has an effect. It does
// not wait for the connection to be closed.
func (l *Link) Fail(err error) { l.Out.Fail(err) }

// shut is the one place where a connection is closed.
func (l *Link) shut(err error) {
	l.cancel(err)
	go func() { // ends with the connection's Close; Link.Close waits
		defer l.shutWG.Done()
		defer l.reportCause(err)
		l.closeConn()
	}()
}

// closeConn closes the connection, which may be a user's. crypto/tls first writes
// to the connection beneath it, and leaves that open if the write panics.
func (l *Link) closeConn() {
	closed := false
	defer func() { // also if our goroutine has been ended
		if above, ok := l.Conn.(interface{ NetConn() net.Conn }); ok && !closed {
			usercode.Guard(l.report, "the Close of a connection", func() { above.NetConn().Close() })
		}
	}()
	usercode.Guard(l.report, "the Close of a connection", func() {
		l.Conn.Close()
		closed = true
	})
}

// reportCause logs a panic of the connection's code.
func (l *Link) reportCause(err error) {
	usercode.Guard(l.report, "an error of a connection", func() { // which may be a user's
		var p *usercode.PanicError
		if errors.As(err, &p) {
			l.reportPanic(p)
		}
	})
}

// CloseWrite closes the connection for writing, and reports false if that is not
// possible.
func (l *Link) CloseWrite() (closed bool) {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		usercode.Guard(l.report, "the CloseWrite of a connection", func() { closed = half.CloseWrite() == nil })
	}
	return closed
}

// HangUp closes the connection for writing, and drops what comes until the peer hangs up,
// too. After limit it closes the link. To close a connection with unread bytes would reset
// it, and what has been sent could be lost. The goroutine that reads calls it.
func (l *Link) HangUp(limit time.Duration, reason error) {
	timer := time.AfterFunc(limit, func() { l.Fail(reason) })
	defer timer.Stop()
	l.CloseWrite()
	for err := error(nil); err == nil; _, err = l.In.Peek(1) {
		l.In.Discard(len(l.In.Buffered()))
	}
}

// Close closes the codec. It returns when no goroutine of the link is left and the
// connection is closed. It is called once, when the link has failed and nobody
// reads any more.
func (l *Link) Close() {
	l.mu.Lock()
	if l.alive.timer != nil {
		l.alive.timer.Stop()
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.Out.Wait()
	l.shutWG.Wait()
	if l.Codec != nil {
		usercode.Guard(l.report, "the Close of a codec", func() { l.Codec.Close() })
	}
}

// Cause returns why the link was closed, or nil. It is set when Fail returns, and
// the context may end a moment later, if another goroutine failed the link first.
func (l *Link) Cause() error { return l.Out.Err() }

// Hold makes Close wait until Release is called. It reports false if the link is
// closed.
func (l *Link) Hold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Cause() != nil { // not ctx, which may end later
		return false
	}
	l.wg.Add(1)
	return true
}

// Release ends a Hold.
func (l *Link) Release() { l.wg.Done() }
