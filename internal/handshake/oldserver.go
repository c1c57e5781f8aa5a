package handshake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// Servers of GeeRPC's original version, here called old, read the Option with a
// json.Decoder. Its first read takes up to 512 bytes, and what it has read beyond the
// Option is lost: if the Option is shorter, the first call may be lost with it. Old
// servers send no acknowledgement.

// oldReadBytes is how much an old server's first read takes at most.
const oldReadBytes = 512

// padded returns an object of at most oldReadBytes with white space before its closing
// brace, so that it fills an old server's first read exactly. The white space begins
// with a newline: a web server then answers at once, and is recognized.
func padded(object []byte) []byte {
	last := len(object) - 1
	text := append(object[:last:last], bytes.Repeat([]byte{' '}, oldReadBytes-len(object))...)
	if len(text) > last {
		text[last] = '\n'
	}
	return append(text, object[last])
}

// sayLegacy sends an Option, as GeeRPC's client does, and waits for no answer.
func (h Hello) sayLegacy(ctx context.Context, l *link.Link) error {
	option, _ := json.Marshal(Hello{MagicNumber: MagicNumber, CodecType: h.CodecType,
		ConnectTimeout: h.ConnectTimeout, HandleTimeout: h.HandleTimeout})
	if len(option) > oldReadBytes {
		return &Error{Reason: BadHello, Text: fmt.Sprintf("option of %d bytes, a legacy server takes %d: choose a shorter CodecType", len(option), oldReadBytes)}
	}
	if err := l.Say(padded(option)); err != nil {
		return err
	}
	l.Out.Drain(ctx)
	return l.Cause()
}

// probeAfter is how long a server has to acknowledge before it is asked whether it is
// old, unless half of the time for connecting is less.
const probeAfter = 5 * time.Second

// probeSeq is the seq of the probe. No call has it yet.
const probeSeq = MagicNumber

// A probe finds out whether a server that does not acknowledge is old. Silence proves
// nothing, because a server that has stopped is silent too. So the probe sends what
// only an old server answers: a call of a method that does not exist, without a body.
// After that an acknowledgement is too late, because its server takes the probe for
// a part of something else.
type probe struct {
	link  *link.Link
	codec *codec.GobCodec
	timer *time.Timer
	state atomic.Int32
}

// The states of a probe.
const (
	probeWaiting = iota
	probeSent
	probeStopped
)

// newProbe returns nil if the server is not probed: the hello is longer than an old
// server reads, or the codec is not this module's gob. How an old server answers in
// another codec is not known.
func newProbe(l *link.Link, helloBytes int) *probe {
	gob, ok := l.Codec.(*codec.GobCodec)
	if !ok || helloBytes > oldReadBytes {
		return nil
	}
	return &probe{link: l, codec: gob}
}

// start starts the wait for an acknowledgement, after which the probe is sent.
func (p *probe) start(ctx context.Context) {
	if p == nil {
		return
	}
	after := probeAfter
	if deadline, ok := ctx.Deadline(); ok {
		after = min(after, time.Until(deadline)/2)
	}
	p.timer = time.AfterFunc(after, p.send) // stop stops it
}

func (p *probe) send() {
	l := p.link
	if !l.Hold() {
		return
	}
	defer l.Release()
	if !p.state.CompareAndSwap(probeWaiting, probeSent) || l.Out.Begin(l.Context()) != nil {
		return
	}
	if err := p.write(); err != nil {
		l.Fail(err)
		return
	}
	l.Flush(false)
}

// write encodes the probe, and ends the write turn.
func (p *probe) write() (err error) {
	defer p.link.Out.End()
	defer p.link.Caught("writing to a connection", &err) // the codec may write to a user's
	return p.codec.WriteHeader(&codec.Header{Seq: probeSeq})
}

// stop reports whether the probe has been sent. If not, it never will be.
func (p *probe) stop() (sent bool) {
	return p != nil && !p.timer.Stop() && !p.state.CompareAndSwap(probeWaiting, probeStopped)
}

// readAnswer reads the answer to the probe, of which the first byte has come. It
// returns nil if the server is old.
func (p *probe) readAnswer() error {
	l := p.link
	switch err := recognize(l.In); err {
	case nil:
		return errLateAck
	case errSpeaksHTTP, ErrSpeaksTLS:
		return err
	}
	var h codec.Header
	if err := l.ReadHeader(&h); err != nil {
		return err
	}
	if h.Seq != probeSeq || h.Error == "" {
		return notAnAck(l.In.Buffered())
	}
	return l.ReadBody(nil)
}

var errLateAck error = &Error{Reason: WrongServer,
	Text: "the server acknowledged so late that it had been asked whether it is one of GeeRPC's original version; dial again"}
