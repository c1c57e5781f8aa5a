package link

import (
	"context"
	"errors"
	"log/slog"

	"geerpc/codec"
)

// maxRefusals limits the refusals that wait for the peer to read. A peer that asks
// for more, and reads none, loses its connection. Cancels have no such limit,
// because there are no more of them than calls in flight.
const maxRefusals = 16 << 10

// A Control is a message without a body.
type Control struct {
	Kind codec.Kind
	Seq  uint64

	// Fill, of a Reply, fills its header with the error. A Reply without it is
	// not posted.
	Fill func(*codec.Header)
}

// Post sends a control message soon. It does not wait, and so a goroutine that
// reads may call it.
func (l *Link) Post(c Control) {
	if !l.enqueue(c) {
		l.Fail(errOwing)
	}
}

var errOwing = errors.New("the peer asks and does not read the answers")

func (l *Link) enqueue(c Control) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.muted {
		return true
	}
	if c.Kind == codec.Ping || c.Kind == codec.Pong { // one of them is enough
		if l.posted.Has(c.Kind) {
			return true
		}
		l.posted |= 1 << c.Kind
	}
	if c.Kind == codec.Reply && len(l.controls) >= maxRefusals {
		return false
	}
	l.controls = append(l.controls, c)
	if !l.sending && l.Cause() == nil { // not ctx, which may end later
		l.sending = true
		l.wg.Add(1)
		go l.sendControls() // ends when none are left or with the link; Close waits
	}
	return true
}

// Mute drops all controls that are posted from now on.
func (l *Link) Mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = true
}

// AnswerPing answers a ping, if the peer handles the answer.
func (l *Link) AnswerPing() {
	if l.peer.Has(codec.Pong) {
		l.Post(Control{Kind: codec.Pong})
	}
}

// sendControls sends what has been posted until nothing is left.
func (l *Link) sendControls() {
	defer l.wg.Done()
	for l.sendPosted(l.ctx, true) {
	}
}

// sendPosted sends what has been posted, and reports whether that was anything. If
// another goroutine is sending, which a codec may delay, it waits for that until
// ctx ends. The sender is the goroutine that Post has started.
func (l *Link) sendPosted(ctx context.Context, isSender bool) bool {
	select {
	case l.controlling <- struct{}{}:
		defer func() { <-l.controlling }()
	case <-ctx.Done():
		return false
	}
	l.mu.Lock()
	batch := l.controls
	l.controls, l.posted = nil, 0
	if isSender { // it ends if there is nothing, and Post must start another one
		l.sending = len(batch) > 0
	}
	l.mu.Unlock()
	if len(batch) > 0 {
		l.sendBatch(batch)
	}
	return len(batch) > 0
}

// Drain returns when all that was put or posted has left, or ctx ends.
func (l *Link) Drain(ctx context.Context) {
	l.sendPosted(ctx, false)
	l.Out.Drain(ctx)
}

// sendBatch sends controls in one turn. If a codec ends our goroutine, the other
// controls are lost, and so the link fails.
func (l *Link) sendBatch(batch []Control) {
	if l.Out.Begin(l.ctx) != nil {
		return
	}
	returned := false
	defer func() {
		l.Out.End()
		l.Flush(false)
		if !returned {
			l.Fail(errExit)
		}
	}()
	for _, c := range batch {
		if err := l.putControl(c); err != nil {
			l.report(slog.LevelWarn, "rpc: control message not sent", "kind", c.Kind, "err", err)
		}
		l.goawaySent = l.goawaySent || c.Kind == codec.Goaway
	}
	returned = true
}

func (l *Link) putControl(c Control) error {
	if c.Kind == codec.Reply {
		return l.PutLast(c.header())
	}
	return l.write(c.header(), nil)
}

func (c Control) header() (h codec.Header) {
	h.Seq = c.Seq
	f := h.Frame()
	f.Kind = c.Kind
	if c.Fill != nil {
		c.Fill(&h)
	}
	return h
}
