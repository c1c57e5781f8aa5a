package handshake

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"geerpc/internal/link"
	"geerpc/internal/monotime"
)

// The server's side.

var (
	errSilent = errors.New("silent for too long")
	errSlow   = fmt.Errorf("no complete handshake within %v", Timeout)
)

// Await waits for the client's first byte, and closes the link if none has come
// within a time. A connection that is silent costs a timer, and no buffer.
func Await(l *link.Link, limit time.Duration) error {
	alarm := monotime.NewAlarm(func() { l.Fail(errSilent) })
	alarm.Set(limit)
	_, err := l.In.Peek(1)
	if !alarm.Stop() && err == nil {
		err = errSilent
	}
	return OrCause(l, err)
}

// CloseAfterTimeout closes the link unless stop is called within Timeout.
func CloseAfterTimeout(l *link.Link) (stop func()) {
	alarm := monotime.NewAlarm(func() { l.Fail(errSlow) })
	alarm.Set(Timeout)
	return func() { alarm.Stop() }
}

// ReadHello reads the hello. It returns an Error if a field has a wrong type. The other
// fields are set then, so that the server can answer a client that asks for it.
func ReadHello(l *link.Link) (*Hello, error) {
	data, err := peekObject(l.In)
	if err != nil {
		return nil, OrCause(l, err)
	}
	l.In.StartOver() // our clients fill it up with blanks
	defer l.In.Discard(len(data))
	h := new(Hello)
	err = json.Unmarshal(data, h)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		err = &Error{Reason: BadHello, Text: fmt.Sprintf("the field %s of the hello can't be a JSON %s", wrong.Field, wrong.Value)}
	}
	return h, OrCause(l, err)
}

// OrCause returns err or, if this side has closed the link, why it did: that explains
// more than the error of a read.
func OrCause(l *link.Link, err error) error {
	if cause := l.Cause(); err != nil && cause != nil {
		return cause
	}
	return err
}

// Apply puts in force what the client asks for in its hello: its limits and, if the
// link's codec has it, the extended layout.
func (h *Hello) Apply(l *link.Link) {
	applyLimits(l, h.MaxMessageBytes, h.MaxDefinitionBytes)
	if h.Extended && l.Whole() {
		l.Extend(link.NewKinds(h.Kinds))
	}
}

// Accept sends an acknowledgement with the server's limits, after Apply, and puts the
// compression in force that it names.
func Accept(l *link.Link, a Ack) error {
	a.OK, a.Version, a.Extended, a.Kinds = true, Version, l.Extended(), kinds
	a.MaxMessageBytes, a.MaxDefinitionBytes = Limit(l.Wire.MaxRead), announceDefinitions(l.Wire.MaxReadDefinitions)
	if err := send(l, a); err != nil {
		return err
	}
	return a.compress(l)
}

// Refuse tells the client why its connection is refused, and returns when it has been
// sent or the link is closed.
func Refuse(l *link.Link, code uint8, text string) {
	send(l, Ack{Code: code, Error: text})
	l.Out.Drain(l.Context())
}

func send(l *link.Link, a Ack) error {
	line, _ := json.Marshal(a) // strings and numbers: it can't fail
	return l.Say(append(line, '\n'))
}
