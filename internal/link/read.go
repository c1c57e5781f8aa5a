package link

import (
	"fmt"
	"strings"
	"time"

	"geerpc/codec"
	"geerpc/internal/monotime"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// ReadHeader reads the next header. Its error ends the link.
func (l *Link) ReadHeader(h *codec.Header) (err error) {
	defer l.Caught("reading a header", &err)
	if !l.whole && l.Wire.MaxRead > 0 {
		l.In.SetBudget(l.Wire.MaxRead)
	}
	if l.arrived != 0 && !l.Ready() {
		l.arrived = 0
	}
	*h = codec.Header{}
	return l.Codec.ReadHeader(h)
}

// Ready reports whether another message is at hand.
func (l *Link) Ready() bool {
	codec, ok := l.Codec.(codec.Extended)
	return ok && codec.Ready()
}

// Arrived returns when the message came that has just been read, by monotime. It is asked
// by who reads. One look at the clock is enough for messages that have come together.
func (l *Link) Arrived() time.Duration {
	if l.arrived == 0 {
		l.arrived = monotime.Now()
	}
	return l.arrived
}

// ReadBody reads the body that belongs to the last header. Its error concerns
// that message, unless the codec can't tell where the next one starts.
func (l *Link) ReadBody(body any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding into %T panicked: %.256s", body, usercode.PanicText(p))
			if !l.whole {
				l.Fail(err)
			}
		}
	}()
	return advised(usercode.Error(l.Codec.ReadBody(body)))
}

// advised adds to an error of gob's what can be done about it. It must be safe to
// print: see usercode.Error.
func advised(err error) error {
	if err == nil || !strings.Contains(err.Error(), "not registered for interface") {
		return err
	}
	return fmt.Errorf("%w (both sides must call gob.Register with a value of that type)", err)
}

// Interruptible reports whether Interrupt may be called: the connection can do that, and
// ReadHeader can be called again behind it.
func (l *Link) Interruptible() bool {
	_, again := l.Codec.(wire.Resumer)
	return again && l.In == l.raw && l.In.Interruptible()
}

// Interrupt makes ReadHeader return wire.ErrInterrupted if the message is not at hand,
// until Resume.
func (l *Link) Interrupt() { l.In.Interrupt() }

// Resume ends what Interrupt has begun.
func (l *Link) Resume() { l.In.Resume() }
