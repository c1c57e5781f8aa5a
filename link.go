package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"

	"geerpc/codec"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// maxControls limits the refusals that wait for the peer to read. A peer that
// makes us owe it more, and reads nothing, loses its connection. Cancels have no
// such limit: there are no more of them than calls in flight.
const maxControls = 16 << 10

// maxTogether is how many messages wait for each other, to be sent or to be
// handled at the price of one. If more did, the two ends of a busy connection
// would take turns at being idle.
const maxTogether = 32

// smallTurn is how many bytes end a turn: there may be no room for more.
const smallTurn = 64 << 10

// A link is what both ends of a connection have in common: the codec, the gate
// that messages leave through, the control messages and the one way to close.
// It has no goroutine of its own at rest.
type link struct {
	conn io.ReadWriteCloser
	wire *wire.Conn
	in   *wire.Reader
	out  *wire.Writer
	// report has a message logged, without waiting.
	report usercode.Reporter

	codec    codec.Codec
	whole    bool // the codec has the whole message at hand when it returns a header
	extended bool // both peers transmit whole headers
	kinds    kindSet

	// ctx ends with the link, its cause says why.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards what follows
	controls []control  // to be sent
	queued   kindSet    // what is among them: one Ping or Pong is enough
	sending  bool       // a goroutine sends them
	muted    bool       // no more are taken: nothing follows what has been sent
	alive    keepalive

	controlling chan struct{} // capacity 1: full from when controls are taken until they are sent

	wg     sync.WaitGroup // goroutines that send controls
	shutWG sync.WaitGroup // the goroutine that closes conn, counted from the start

	// For the one whose turn it is, and at the end: what is above is read for
	// every call, by others, and this is written for every message.
	header codec.Header // of the message
	left   bool         // a Goaway has been sent
}

// A control is a message without a body, from the connection itself.
type control struct {
	kind codec.Kind
	seq  uint64
	err  *Error // of a Reply
}

// limits are what a link needs to know of an Option or a Server.
type limits struct {
	maxRead        int           // bytes in a message; 0: no limit
	maxDefinitions int           // bytes of gob type definitions that the peer may send; 0: no limit
	flush          time.Duration // 0: no limit
	report         usercode.Reporter
}

// newLink returns the link over conn.
func newLink(conn io.ReadWriteCloser, lim limits) *link {
	l := &link{conn: conn, report: lim.report, controlling: make(chan struct{}, 1)}
	l.shutWG.Add(1)
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	if lim.flush == 0 {
		lim.flush = -1
	}
	l.in = wire.NewReader(conn)
	l.out = wire.NewWriter(conn, lim.flush, l.shut)
	l.wire = &wire.Conn{Reader: l.in, Writer: l.out, Closer: closer{l}, MaxRead: lim.maxRead,
		MaxReadDefinitions: lim.maxDefinitions}
	return l
}

// closer is how a codec closes the link.
type closer struct{ l *link }

func (c closer) Close() error {
	c.l.fail(net.ErrClosed)
	return nil
}

// open makes the codec, which may be a user's. It neither reads nor writes.
func (l *link) open(newCodec codec.NewCodecFunc) (err error) {
	defer l.caught("making a codec", &err)
	if l.codec = newCodec(l.wire); l.codec == nil {
		return errors.New("the codec's constructor returned nil")
	}
	_, l.whole = l.codec.(codec.Extended)
	return nil
}

// extend puts the extended layout in force.
func (l *link) extend(peer kindSet) {
	l.codec = l.codec.(codec.Extended).Extend()
	l.extended, l.kinds = true, peer
}

// fail closes the link because of err. Only the first call counts. It waits for
// nobody: a connection may take its time to be closed.
func (l *link) fail(err error) { l.out.Fail(err) }

// shut is the one place where a connection is closed.
func (l *link) shut(err error) {
	l.cancel(err)
	go func() { // ends with the connection's Close; close waits
		defer l.shutWG.Done()
		defer l.reportCause(err)
		l.closeConn()
	}()
}

// closeConn closes the connection, which may be a user's. crypto/tls writes to
// what is beneath it first: if that panics, it is still to be closed.
func (l *link) closeConn() {
	closed := false
	defer func() { // also if our goroutine has been ended
		if above, ok := l.conn.(interface{ NetConn() net.Conn }); ok && !closed {
			usercode.Guard(l.report, "the Close of a connection", func() { above.NetConn().Close() })
		}
	}()
	usercode.Guard(l.report, "the Close of a connection", func() {
		l.conn.Close()
		closed = true
	})
}

// reportCause has it logged if the connection's code has panicked.
func (l *link) reportCause(err error) {
	usercode.Guard(l.report, "an error of a connection", func() { // which may be a user's
		var p *usercode.PanicError
		if errors.As(err, &p) {
			l.reportPanic(p)
		}
	})
}

// close lets the codec go and returns when no goroutine of the link is left,
// and the connection is closed. The link has failed, and nobody reads any more.
func (l *link) close() {
	l.mu.Lock()
	if l.alive.timer != nil {
		l.alive.timer.Stop()
	}
	l.mu.Unlock()
	l.wg.Wait()
	l.out.Wait()
	l.shutWG.Wait()
	if l.codec != nil {
		usercode.Guard(l.report, "the Close of a codec", func() { l.codec.Close() })
	}
}

// cause returns why the link was closed, or nil. It knows it when fail returns,
// while ctx may end a moment later: in another goroutine, whose fail was first.
func (l *link) cause() error { return l.out.Err() }

// put puts a message on its way, for one whose turn it is; flush must follow.
// If it fails, nothing has been sent. It fails with errLeft for a call behind a
// Goaway.
func (l *link) put(h codec.Header, body any) error {
	if l.left && h.Frame().Kind == codec.Call {
		return errLeft
	}
	return l.write(h, body)
}

// putError puts a reply that is an error. If the peer takes no message of its
// size, it goes without metadata, and with as much of its text as fits: what
// went wrong, where, and whether the method ran arrive, unless even that is too
// much.
func (l *link) putError(h codec.Header) error {
	err := l.put(h, nil)
	least := 1 // on the plain layout no text is no error
	if l.extended {
		least = 0
	}
	for keep := min(len(h.Error), l.wire.MaxWrite); len(h.Error) > least && errors.Is(err, codec.ErrTooLarge); keep /= 2 {
		h.ServiceMethod, h.Frame().Metadata = "", nil
		h.Error = cut(h.Error, max(keep, least))
		err = l.put(h, nil)
	}
	return err
}

// putLast puts a reply that is an error and has nothing to take its place: if it
// can't be put, or the codec ends our goroutine, the link fails. The caller would
// wait for ever.
func (l *link) putLast(h codec.Header) (err error) {
	err = errExit // should putError not return
	defer func() {
		if err != nil {
			l.fail(fmt.Errorf("no way to answer: %w", err))
		}
	}()
	return l.putError(h)
}

// cut returns the first n bytes of text, or fewer lest it end within a rune.
func cut(text string, n int) string {
	for n > 1 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:min(n, len(text))]
}

// sendTogether calls send, which puts one message, as long as it reports that
// there may be more. Small messages take one turn together, unless somebody
// else is waiting for it; the last of them have not left yet, flush must follow.
// If the link is closed, send is called without alive, and must not put anything.
func (l *link) sendTogether(send func(alive bool) (more bool)) {
	for l.out.Begin(l.ctx) == nil {
		if !l.sendSome(send) {
			return
		}
		l.flush(false)
		if l.out.Wanted() {
			runtime.Gosched() // a gate lets those who run overtake those who wait
		}
	}
	for send(false) {
	}
}

// sendSome is a turn of sendTogether.
func (l *link) sendSome(send func(alive bool) (more bool)) (more bool) {
	defer l.out.End() // also if what is encoded ends our goroutine
	start := l.out.Total()
	for n := 0; n == 0 || n < maxTogether && l.out.Total()-start < smallTurn && !l.out.Wanted(); n++ {
		if !send(true) {
			return false
		}
	}
	return true
}

var errLeft = fmt.Errorf("%w: it is being shut down", ErrShutdown)

// flush sees to it that what has been sent leaves. With yield set, what others
// are about to send goes along.
func (l *link) flush(yield bool) { l.out.Flush(yield) }

// write encodes a message, between Begin and End. The codec may be a user's,
// and so may what a body does when it is encoded.
func (l *link) write(h codec.Header, body any) (err error) {
	before, returned := l.out.Total(), false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encoding %T panicked: %.256s", body, usercode.PanicText(p))
		}
		if err != nil { // whoever asks what it is may hold the gate, or read for all calls
			err = usercode.Error(err)
		}
		// A codec that was cut short may hold half a message, and send it with
		// the next; but those that have the whole message at hand drop it.
		if cut := !returned && !l.whole; cut || err != nil && l.out.Total() != before {
			l.fail(fmt.Errorf("message sent in part: %w", err))
		}
		l.header = codec.Header{}
	}()
	if !l.whole {
		body = bodyForOthers(body, h.Frame().Kind)
	}
	l.header = h
	err = errExit // should Write not return
	err = l.codec.Write(&l.header, body)
	returned = true
	return err
}

// bodyForOthers returns what is sent in place of nil, and of a nil pointer, by a
// codec of the user's own. One that was made for GeeRPC need not know either.
func bodyForOthers(body any, kind codec.Kind) any {
	if body == nil {
		if kind == codec.Reply {
			return struct{}{} // what GeeRPC sends with an error
		}
		return nil
	}
	if v := reflect.ValueOf(body); v.Kind() == reflect.Pointer && v.IsNil() {
		return reflect.New(v.Type().Elem()).Interface()
	}
	return body
}

var errExit = errors.New("what was encoded ended its goroutine")

// readHeader reads the next header. Its error ends the link.
func (l *link) readHeader(h *codec.Header) (err error) {
	defer l.caught("reading a header", &err)
	if !l.whole && l.wire.MaxRead > 0 {
		l.in.SetBudget(l.wire.MaxRead)
	}
	*h = codec.Header{}
	return l.codec.ReadHeader(h)
}

// ready tells whether another message is at hand.
func (l *link) ready() bool {
	codec, ok := l.codec.(codec.Extended)
	return ok && codec.Ready()
}

// readBody reads the body that belongs to the last header. Its error concerns
// that message, unless the codec can't tell where the next one starts.
func (l *link) readBody(body any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding into %T panicked: %.256s", body, usercode.PanicText(p))
			if !l.whole {
				l.fail(err)
			}
		}
	}()
	return usercode.Error(l.codec.ReadBody(body))
}

// errReaderExit is why a link fails, a client's or a server's, whose reader a
// body has ended. A client's call whose reply did that has run; a server only
// logs it.
var errReaderExit error = &Error{Code: CodeInternal, Where: InClient, Ran: RanYes,
	Message: "rpc: decoding a body ended the goroutine that reads the connection"}

// post has a control message sent, without waiting: readers post, and a reader
// that waited for the peer to read could wait for ever.
func (l *link) post(c control) {
	if !l.enqueue(c) {
		l.fail(errOwing)
	}
}

var errOwing = errors.New("the peer asks and does not read the answers")

func (l *link) enqueue(c control) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.muted {
		return true
	}
	if c.kind == codec.Ping || c.kind == codec.Pong { // one stands for any number of them
		if l.queued.has(c.kind) {
			return true
		}
		l.queued |= 1 << c.kind
	}
	if c.kind == codec.Reply && len(l.controls) >= maxControls {
		return false
	}
	l.controls = append(l.controls, c)
	if !l.sending && l.cause() == nil { // ctx may end later than close has waited
		l.sending = true
		l.wg.Add(1)
		go l.sendControls() // ends when none are left or with the link; close waits
	}
	return true
}

// enter is for a goroutine that close has to wait for, which calls leave when
// it ends. It reports false if the link is closed.
func (l *link) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause() != nil { // ctx may end later than close has waited
		return false
	}
	l.wg.Add(1)
	return true
}

func (l *link) leave() { l.wg.Done() }

// mute drops all control messages that are posted from now on.
func (l *link) mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
}

// answerPing answers a ping, if the peer knows the word.
func (l *link) answerPing() {
	if l.kinds.has(codec.Pong) {
		l.post(control{kind: codec.Pong})
	}
}

// sendControls sends what has been posted until nothing is left.
func (l *link) sendControls() {
	defer l.wg.Done()
	for l.sendPosted(l.ctx, true) {
	}
}

// sendPosted sends what has been posted, and reports whether anything has. If
// another goroutine is at it, which a codec may hold up, it waits until ctx ends.
func (l *link) sendPosted(ctx context.Context, ours bool) bool {
	select {
	case l.controlling <- struct{}{}:
		defer func() { <-l.controlling }()
	case <-ctx.Done():
		return false
	}
	l.mu.Lock()
	batch := l.controls
	l.controls, l.queued = nil, 0
	if ours { // nobody else sends, so post has to start somebody
		l.sending = len(batch) > 0
	}
	l.mu.Unlock()
	if len(batch) > 0 {
		l.sendBatch(batch)
	}
	return len(batch) > 0
}

// drain returns when all that has been sent or posted has left, or ctx ends.
func (l *link) drain(ctx context.Context) {
	l.sendPosted(ctx, false)
	l.out.Drain(ctx)
}

// sendBatch sends controls in one go. It does nothing once the link is closed.
// If a codec ends our goroutine the link fails: the other controls of the batch
// are lost.
func (l *link) sendBatch(batch []control) {
	if l.out.Begin(l.ctx) != nil {
		return
	}
	returned := false
	defer func() {
		l.out.End()
		l.flush(false)
		if !returned {
			l.fail(errExit)
		}
	}()
	for _, c := range batch {
		if err := l.putControl(c); err != nil {
			l.report(slog.LevelWarn, "rpc: control message not sent", "kind", c.kind, "err", err)
		}
		l.left = l.left || c.kind == codec.Goaway
	}
	returned = true
}

// putControl puts a control.
func (l *link) putControl(c control) error {
	if c.kind == codec.Reply {
		return l.putLast(c.header())
	}
	return l.write(c.header(), nil)
}

func (c control) header() (h codec.Header) {
	h.Seq = c.seq
	f := h.Frame()
	f.Kind = c.kind
	if c.err != nil {
		c.err.put(&h)
	}
	return h
}
