package geerpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"geerpc/codec"
)

// Servers of GeeRPC's original version read the Option with a json.Decoder,
// whose first read takes up to 512 bytes and whose buffer is then forgotten:
// were the Option any shorter, the first call would go with it. They send no
// acknowledgement.

// padded returns an object of at most 512 bytes with white space before its
// closing brace, so that it fills an old server's first read exactly. The space
// begins with a newline: a web server answers at once then, and is recognized.
func padded(object []byte) []byte {
	last := len(object) - 1
	text := append(object[:last:last], bytes.Repeat([]byte{' '}, legacyBytes-len(object))...)
	if len(text) > last {
		text[last] = '\n'
	}
	return append(text, object[last])
}

// greetLegacy sends the Option to a server that is known to be old.
func (c *Client) greetLegacy(ctx context.Context) error {
	option, err := json.Marshal(hello{MagicNumber: MagicNumber, CodecType: c.opt.CodecType,
		ConnectTimeout: c.opt.ConnectTimeout, HandleTimeout: c.opt.HandleTimeout})
	if err == nil && len(option) > legacyBytes {
		err = fmt.Errorf("option of %d bytes, a legacy server takes %d: choose a shorter CodecType", len(option), legacyBytes)
	}
	if err != nil {
		return newError(CodeInvalidArgument, InClient, RanNever, "rpc client", err)
	}
	if err := c.link.Say(padded(option)); err != nil {
		return err
	}
	c.link.Out.Drain(ctx)
	return c.link.Cause()
}

// probeAfter is how long a server has to acknowledge before it is asked
// whether it is an old one, unless half of the time for connecting is less.
const probeAfter = 5 * time.Second

// probeSeq is the seq of the probe: no call has it yet.
const probeSeq = MagicNumber

// A probe finds out whether a server that does not acknowledge is an old one.
// Silence proves nothing, for a server that has stopped is silent too. So the
// probe sends what only an old server answers: a header without a body whose
// method can't be found. From then on an acknowledgement is too late, for its
// server would take that header for a part of another layout.
type probe struct {
	client *Client
	codec  *codec.GobCodec
	timer  *time.Timer
	state  atomic.Int32
}

// States of a probe.
const (
	probeArmed = iota
	probeSent
	probeOver // something has come before it was sent
)

// newProbe returns nil if nothing is to be probed: the hello is longer than an
// old server reads, or the codec is not gob as it comes with this module. What an
// old server would answer to another one is not known.
func newProbe(c *Client, helloBytes int) *probe {
	gob, ok := c.link.Codec.(*codec.GobCodec)
	if !ok || helloBytes > legacyBytes {
		return nil
	}
	return &probe{client: c, codec: gob}
}

// arm has the probe sent in a while.
func (p *probe) arm(ctx context.Context) {
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
	l := p.client.link
	if !l.Hold() {
		return
	}
	defer l.Release()
	if !p.state.CompareAndSwap(probeArmed, probeSent) || l.Out.Begin(l.Context()) != nil {
		return
	}
	if err := p.write(); err != nil {
		l.Fail(err)
		return
	}
	l.Flush(false)
}

// write writes the probe, between Begin and End.
func (p *probe) write() (err error) {
	defer p.client.link.Out.End()
	defer p.client.link.Caught("writing to a connection", &err) // a user's, if a constructor has put it beneath
	return p.codec.WriteHeader(&codec.Header{Seq: probeSeq})
}

// stop reports whether the probe has been sent. If not, it never will be.
func (p *probe) stop() (sent bool) {
	return p != nil && !p.timer.Stop() && !p.state.CompareAndSwap(probeArmed, probeOver)
}

// judge reads the answer to the probe, of which the first byte has come. It
// returns nil if the server is an old one: the plain layout is in force then.
func (p *probe) judge() error {
	c := p.client
	if first := c.link.In.Buffered()[0]; bytes.IndexByte(mayBegin, first) >= 0 {
		return errLateAck
	} else if first == 'H' || first == tlsAlert {
		return c.recognize()
	}
	var h codec.Header
	if err := c.link.ReadHeader(&h); err != nil {
		return err
	}
	if h.Seq != probeSeq || h.Error == "" {
		return notAnAck(c.link.In.Buffered())
	}
	if err := c.link.ReadBody(nil); err != nil {
		return err
	}
	c.report(slog.LevelWarn, "rpc client: the server is of GeeRPC's original version: set Option.Legacy to save the wait for an acknowledgement",
		"server", c.server)
	return nil
}

var errLateAck error = &Error{Code: CodeUnavailable, Where: OnLink, Ran: RanNever,
	Message: "rpc client: the server acknowledged so late that it had been asked whether it is one of GeeRPC's original version; dial again"}
