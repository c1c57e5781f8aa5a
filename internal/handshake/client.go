package handshake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"geerpc/internal/link"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// The client's side.

// Client says hello over l, whose codec is open, and puts in force what the server
// acknowledges: its limits and perhaps the extended layout. It closes the link when ctx
// ends. It returns nil, and no error, if the server turns out to be of GeeRPC's
// original version, which speaks the plain layout.
func Client(ctx context.Context, l *link.Link, h Hello) (*Ack, error) {
	return within(ctx, l, func() (*Ack, error) { return h.exchange(ctx, l) })
}

// Legacy says hello to a server that is known to be of GeeRPC's original version.
func Legacy(ctx context.Context, l *link.Link, h Hello) error {
	_, err := within(ctx, l, func() (*Ack, error) { return nil, h.sayLegacy(ctx, l) })
	return err
}

// within calls do, and closes the link when ctx ends meanwhile. An error that comes of
// closing the link is replaced by the reason for closing it.
func within(ctx context.Context, l *link.Link, do func() (*Ack, error)) (*Ack, error) {
	stop := context.AfterFunc(ctx, func() { l.Fail(usercode.Error(context.Cause(ctx))) })
	a, err := do()
	if !errors.As(err, new(*Error)) {
		err = OrCause(l, err)
	}
	if !stop() && err == nil { // the link is being closed by now
		err = context.Cause(ctx)
	}
	return a, err
}

// exchange says hello and takes the answer.
func (h Hello) exchange(ctx context.Context, l *link.Link) (*Ack, error) {
	text, err := h.text(l)
	if err != nil {
		return nil, err
	}
	p := newProbe(l, len(text))
	if p == nil {
		text = append(text, '\n')
	} else {
		text = padded(text)
	}
	if err := l.Say(text); err != nil {
		return nil, err
	}
	p.start(ctx)
	_, err = l.In.Peek(1)
	if sent := p.stop(); err != nil {
		return nil, err
	} else if sent {
		return nil, p.readAnswer()
	}
	a, err := takeAck(l)
	if err != nil {
		return nil, err
	}
	if a.Compression != "" && !slices.Contains(h.Compressions, a.Compression) {
		return nil, &Error{Reason: WrongServer, Text: fmt.Sprintf("the server compresses with %.64q, which it was not asked to", a.Compression)}
	}
	return a, a.compress(l)
}

// text returns the hello as JSON, with what the link knows filled in.
func (h Hello) text(l *link.Link) ([]byte, error) {
	if !utf8.ValidString(h.Token) {
		return nil, &Error{Reason: BadHello, Text: "the Token is not valid UTF-8, and would not arrive as it is: encode it"}
	}
	h.MagicNumber, h.Version, h.Ack, h.Extended, h.Kinds = MagicNumber, Version, true, l.Whole(), kinds
	h.MaxMessageBytes, h.MaxDefinitionBytes = Limit(l.Wire.MaxRead), announceDefinitions(l.Wire.MaxReadDefinitions)
	text, _ := json.Marshal(h) // strings and numbers: it can't fail
	if len(text) > MaxBytes {
		return nil, &Error{Reason: BadHello, Text: fmt.Sprintf("hello of %d bytes, a server takes %d: choose a shorter Token or CodecType", len(text), MaxBytes)}
	}
	return text, nil
}

// takeAck reads the acknowledgement, and does as it says.
func takeAck(l *link.Link) (*Ack, error) {
	if err := recognize(l.In); err != nil {
		return nil, err
	}
	a, err := readAck(l.In)
	if err != nil {
		return nil, err
	}
	applyLimits(l, a.MaxMessageBytes, a.MaxDefinitionBytes)
	if a.Extended && l.Whole() {
		l.Extend(link.NewKinds(a.Kinds))
	}
	return a, SkipNewline(l)
}

// readAck reads an acknowledgement. A refusal is an Error.
func readAck(in *wire.Reader) (*Ack, error) {
	data, err := peekObject(in)
	if err != nil {
		return nil, err
	}
	defer in.Discard(len(data))
	a := new(Ack)
	var answer struct{ OK *bool }
	if json.Unmarshal(data, &answer) != nil || answer.OK == nil || json.Unmarshal(data, a) != nil {
		return nil, notAnAck(data)
	}
	if !a.OK {
		return nil, &Error{Reason: Refused, Code: a.Code, Text: a.Error}
	}
	return a, nil
}

// notAnAck is the error for an answer that is no acknowledgement.
func notAnAck(answer []byte) error {
	return &Error{Reason: WrongServer, Text: fmt.Sprintf("what answered is no acknowledgement of a geerpc server: %.100q", answer)}
}

// recognize looks at the first byte of the answer, which tells other servers from
// ours: what they say to a hello is known.
func recognize(in *wire.Reader) error {
	switch first := in.Buffered()[0]; {
	case first == 'H':
		return errSpeaksHTTP
	case first == TLSAlert:
		return ErrSpeaksTLS
	case !beginsObject(first):
		return notAnAck(in.Buffered())
	}
	return nil
}

// TLSAlert is the first byte of a server that speaks TLS, and does not understand:
// the content type of RFC 8446, section 5.1.
const TLSAlert = 0x15

var errSpeaksHTTP error = &Error{Reason: WrongServer,
	Text: "the server speaks HTTP: use DialHTTP, or http@ (with TLS https@) in front of the address, if there is a geerpc server behind it"}

// ErrSpeaksTLS is the Error for a server whose first byte is TLSAlert.
var ErrSpeaksTLS error = &Error{Reason: WantsTLS,
	Text: "the server speaks TLS: set Option.TLSConfig, or use tls@ in front of the address, or https@ for http@"}
