package link

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unicode/utf8"

	"geerpc/codec"
	"geerpc/internal/usercode"
)

const (
	// MaxTogether is how many messages are sent, or handled, at the price of one.
	// If it were more, the two ends of a busy connection would take turns at being
	// idle.
	MaxTogether = 32

	maxTurn = 64 << 10 // bytes after which a turn ends
)

// ErrGoawaySent is what Put fails with for a call after a Goaway.
var ErrGoawaySent = errors.New("a goaway has been sent")

// Put encodes a message. The caller holds the write turn, and Flush must follow.
// If Put fails, nothing has been sent, or the link has failed.
func (l *Link) Put(h codec.Header, body any) error {
	if l.goawaySent && h.Frame().Kind == codec.Call {
		return ErrGoawaySent
	}
	return l.write(h, body)
}

// PutError puts a reply that is an error. If that is too large for the peer, its
// metadata is dropped and its text cut, so that the peer still learns what went
// wrong, where, and whether the method ran, unless even that is too much.
func (l *Link) PutError(h codec.Header) error {
	err := l.Put(h, nil)
	least := 1 // on the plain layout no text is no error
	if l.extended {
		least = 0
	}
	for keep := min(len(h.Error), l.Wire.MaxWrite); len(h.Error) > least && errors.Is(err, codec.ErrTooLarge); keep /= 2 {
		h.ServiceMethod, h.Frame().Metadata = "", nil
		h.Error = cut(h.Error, max(keep, least))
		err = l.Put(h, nil)
	}
	return err
}

// PutLast is PutError for a reply that nothing can take the place of. If it can't
// be put, or the codec ends our goroutine, the link fails, because the caller
// would wait for ever.
func (l *Link) PutLast(h codec.Header) (err error) {
	err = errExit // if PutError does not return
	defer func() {
		if err != nil {
			l.Fail(fmt.Errorf("no way to answer: %w", err))
		}
	}()
	return l.PutError(h)
}

// cut returns the first n bytes of text, or fewer so as not to end within a rune.
func cut(text string, n int) string {
	for n > 1 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:min(n, len(text))]
}

// SendTogether calls send, which puts one message, for as long as it reports that
// there may be more. Small messages share a write turn, unless somebody else waits
// for it. Flush must follow. Once the link is closed, send is called with alive
// false, and must not put anything.
func (l *Link) SendTogether(send func(alive bool) (more bool)) {
	for l.Out.Begin(l.ctx) == nil {
		if !l.sendSome(send) {
			return
		}
		l.Flush(false)
		if l.Out.Wanted() {
			runtime.Gosched() // or we would take the turn again before those who wait for it
		}
	}
	for send(false) {
	}
}

// sendSome is one turn of SendTogether.
func (l *Link) sendSome(send func(alive bool) (more bool)) (more bool) {
	defer l.Out.End() // also if what is encoded ends our goroutine
	start := l.Out.Total()
	for n := 0; n == 0 || n < MaxTogether && l.Out.Total()-start < maxTurn && !l.Out.Wanted(); n++ {
		if !send(true) {
			return false
		}
	}
	return true
}

// Flush sends what was put. With yield set, it first lets other goroutines run, so that
// what they are about to put is sent with it.
func (l *Link) Flush(yield bool) { l.Out.Flush(yield) }

// write encodes a message. The codec may be a user's, and so may the code that
// encodes a body.
func (l *Link) write(h codec.Header, body any) (err error) {
	before, returned := l.Out.Total(), false
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encoding %T panicked: %.256s", body, usercode.PanicText(p))
		}
		if err != nil { // errors.Is may run a user's code later, while others wait
			err = advised(usercode.Error(err))
		}
		// A codec that was cut short may keep half a message and send it with the
		// next one. Extended codecs drop it.
		if cut := !returned && !l.whole; cut || err != nil && l.Out.Total() != before {
			l.Fail(fmt.Errorf("message sent in part: %w", err))
		}
		l.header = codec.Header{}
	}()
	if !l.whole {
		body = bodyForOthers(body, h.Frame().Kind)
	}
	l.header = h
	err = errExit // if Write does not return
	err = l.Codec.Write(&l.header, body)
	returned = true
	return err
}

// bodyForOthers returns what a user's codec is given in place of nil, or of a nil
// pointer: a codec made for GeeRPC need not know either.
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

// Say writes text that no codec frames, a part of the handshake, and flushes.
func (l *Link) Say(text []byte) error {
	if err := l.Out.Begin(l.ctx); err != nil {
		return err
	}
	_, err := l.Out.Write(text)
	l.Out.End()
	l.Flush(false)
	return err
}
