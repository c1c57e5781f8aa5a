package codectest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing/iotest"

	"geerpc/codec"
)

// A check tests one obligation.
type check struct {
	name       string
	obligation string // in the words of codec.Codec, or nearly
	extended   bool   // the obligation is one of extended codecs
	run        func(*suite) error
}

const (
	onConstruction  = "A NewCodecFunc must not read or write by itself, and neither must Extend."
	onHeader        = "A header arrives as it was sent: its three fields on the plain layout, all of it on the extended one."
	onSkip          = "1. ReadHeader is followed by ReadBody for the same message, always. ReadBody(nil) skips the body."
	onBody          = "2. ReadBody consumes exactly one body, whether or not it can be decoded into the given pointer. Its error concerns that message alone."
	onEnd           = "3. ReadHeader returns io.EOF only where a message may begin."
	onWhole         = "4. Write sends a whole message or nothing."
	onOwnership     = "5. Write has finished with header and body when it returns, and leaves both as they are."
	onNil           = "6. A nil body is sent as the codec's empty value, and read back as one."
	onClose         = "Close closes the connection. It may be called at any time."
	onDirections    = "The two directions run concurrently."
	onUnknownKinds  = "A message of a kind that the codec does not know does not disturb the next one."
	onWholeMessages = "An Extended codec has a message's whole body at hand when ReadHeader returns: ReadBody does not read from the connection."
)

var checks = []check{
	{"silent construction", onConstruction, false, (*suite).checkConstruction},
	{"headers", onHeader, false, (*suite).checkHeaders},
	{"bodies", onBody, false, (*suite).checkBodies},
	{"nil bodies", onNil, false, (*suite).checkNilBodies},
	{"skipped bodies", onSkip, false, (*suite).checkSkipped},
	{"bodies that do not fit", onBody, false, (*suite).checkMisfits},
	{"values that can not be encoded", onWhole, false, (*suite).checkUnfit},
	{"streams cut at every byte", onEnd, false, (*suite).checkCuts},
	{"bytes that trickle", onBody, false, (*suite).checkTrickle},
	{"reuse after Write", onOwnership, false, (*suite).checkOwnership},
	{"concurrent directions", onDirections, false, (*suite).checkDirections},
	{"Close", onClose, false, (*suite).checkClose},
	{"Close while reading", onClose, false, (*suite).checkCloseWhileReading},
	{"unknown kinds", onUnknownKinds, true, (*suite).checkUnknownKinds},
	{"whole messages", onWholeMessages, true, (*suite).checkWholeMessages},
}

func (s *suite) checkConstruction() error {
	var out bytes.Buffer
	var reads int
	s.open(&conn{out: &out, onRead: func() { reads++ }})
	if reads > 0 || out.Len() > 0 {
		return fmt.Errorf("%d reads and %d bytes written before the first message", reads, out.Len())
	}
	return nil
}

// headers returns headers of all sorts.
func (s *suite) headers() []codec.Header {
	frames := []codec.Frame{
		{Kind: codec.Call},
		{Kind: codec.Call, Timeout: 1},
		{Kind: codec.Call, Timeout: math.MaxInt64, Metadata: map[string]string{"a": "1", "": "", "ü\n\x00": strings.Repeat("x", 300)}},
		{Kind: codec.Reply},
		{Kind: codec.Reply, Code: 1, Where: 2, Ran: 3},
		{Kind: codec.Reply, Code: 255, Where: 255, Ran: 255, Metadata: map[string]string{"k": "v"}},
	}
	controls := []codec.Frame{{Kind: codec.Cancel}, {Kind: codec.Goaway}, {Kind: codec.Ping}, {Kind: codec.Pong}}
	if s.extended {
		frames = append(frames, controls...)
	}
	var all []codec.Header
	for _, f := range frames {
		for _, seq := range []uint64{0, 1, 127, 128, 1 << 32, math.MaxUint64} {
			h := codec.Header{Seq: seq}
			*h.Frame() = f
			switch {
			case f.Kind == codec.Call:
				h.ServiceMethod = "Service.Method" + strings.Repeat("d", int(seq%300))
			case f.Kind == codec.Reply && (f.Code != 0 || !s.extended):
				h.Error = fmt.Sprintf("100%% of load, \"quoted\"\n\x00<é>%d", seq)
			}
			all = append(all, h)
		}
	}
	return all
}

func (s *suite) checkHeaders() error {
	var messages []message
	for i, h := range s.headers() {
		m := message{h, i}
		if k := h.Frame().Kind; k != codec.Call && k != codec.Reply {
			m.sample = noBody
		}
		messages = append(messages, m)
	}
	return s.roundTrip(messages)
}

func (s *suite) checkBodies() error {
	messages := calls(200)
	for n := range 200 {
		messages = append(messages, reply(n))
	}
	return s.roundTrip(messages)
}

// roundTrip sends all messages in one segment.
func (s *suite) roundTrip(messages []message) error {
	stream, _, err := s.record(messages)
	if err != nil {
		return err
	}
	return s.expectAll(s.reader(bytes.NewReader(stream)), messages)
}

func (s *suite) checkNilBodies() error {
	messages := []message{call(0), reply(1), call(2), reply(3), call(4)}
	for _, i := range []int{0, 1, 3} {
		messages[i].sample = noBody
	}
	if err := s.roundTrip(messages); err != nil {
		return err
	}
	return s.skip(messages, func(int) bool { return true })
}

func (s *suite) checkSkipped() error {
	for name, skipped := range map[string]func(i int) bool{
		"the first":  func(i int) bool { return i == 0 },
		"the second": func(i int) bool { return i == 1 },
		"all":        func(int) bool { return true },
	} {
		if err := s.skip(calls(4), skipped); err != nil {
			return fmt.Errorf("with the body of %s message skipped: %w", name, err)
		}
	}
	return nil
}

// skip reads messages, and skips some of their bodies.
func (s *suite) skip(messages []message, skipped func(i int) bool) error {
	stream, _, err := s.record(messages)
	if err != nil {
		return err
	}
	c := s.reader(bytes.NewReader(stream))
	for i, m := range messages {
		if !skipped(i) {
			if err := s.expect(c, m); err != nil {
				return err
			}
			continue
		}
		if err := s.expectHeader(c, m); err != nil {
			return err
		}
		if err := c.ReadBody(nil); err != nil {
			return fmt.Errorf("ReadBody(nil): %w", err)
		}
	}
	return s.expectAll(c, nil)
}

func (s *suite) expectHeader(c codec.Codec, m message) error {
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil {
		return fmt.Errorf("ReadHeader of %+v: %w", m.header, err)
	}
	return s.compare(&h, &m.header)
}

func (s *suite) checkMisfits() error {
	messages := calls(5)
	stream, _, err := s.record(messages)
	if err != nil {
		return err
	}
	c := s.reader(bytes.NewReader(stream))
	for i, m := range messages {
		if i%2 == 1 {
			if err := s.expect(c, m); err != nil {
				return fmt.Errorf("behind a body that did not fit: %w", err)
			}
			continue
		}
		if err := s.expectHeader(c, m); err != nil {
			return err
		}
		if misfit := s.Misfit(); c.ReadBody(misfit) == nil {
			return fmt.Errorf("ReadBody into %T did not fail; if it can't, set Values.Misfit", misfit)
		}
	}
	return s.expectAll(c, nil)
}

func (s *suite) checkUnfit() error {
	var out bytes.Buffer
	c := s.open(&conn{out: &out})
	messages := calls(3)
	for _, m := range messages {
		before := out.Len()
		unfit := s.Unfit()
		if err := c.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 99}, unfit); err == nil {
			return fmt.Errorf("Write of a %T did not fail; if it can't, set Values.Unfit", unfit)
		}
		if n := out.Len() - before; n > 0 {
			return fmt.Errorf("Write failed and had written %d bytes", n)
		}
		if err := s.write(c, m); err != nil {
			return fmt.Errorf("after a Write that failed: %w", err)
		}
	}
	return s.expectAll(s.reader(&out), messages)
}

func (s *suite) checkCuts() error {
	messages := []message{call(0), reply(1), call(2)}
	stream, ends, err := s.record(messages)
	if err != nil {
		return err
	}
	for cut := range stream {
		if err := s.checkCut(stream[:cut], messages, ends); err != nil {
			return fmt.Errorf("%d of %d bytes, messages end at %v: %w", cut, len(stream), ends, err)
		}
	}
	return nil
}

// checkCut reads a stream that ends early.
func (s *suite) checkCut(stream []byte, messages []message, ends []int) error {
	c := s.reader(bytes.NewReader(stream))
	for i, m := range messages {
		at, err, wrong := s.read(c, m)
		begins := 0
		if i > 0 {
			begins = ends[i-1]
		}
		switch {
		case wrong != nil:
			return wrong
		case err == nil: // the last byte may be white space
			if len(stream) < ends[i]-1 {
				return errors.New("a message was read before it had arrived")
			}
		case len(stream) >= ends[i]:
			return fmt.Errorf("message %d is whole, but: %w", i+1, err)
		case at == atBody:
			if err := c.ReadHeader(new(codec.Header)); err == nil {
				return errors.New("ReadBody failed, but another header came")
			}
			return nil
		case len(stream) <= begins:
			if err != io.EOF {
				return fmt.Errorf("ReadHeader returned %v between messages, want io.EOF", err)
			}
			return nil
		case !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("ReadHeader returned %v within a message, want io.ErrUnexpectedEOF", err)
		default:
			return nil
		}
	}
	return nil
}

func (s *suite) checkTrickle() error {
	messages := append(calls(3), reply(3), reply(4))
	stream, _, err := s.record(messages)
	if err != nil {
		return err
	}
	for name, slow := range map[string]func(io.Reader) io.Reader{
		"one byte at a time":       iotest.OneByteReader,
		"half of what is asked":    iotest.HalfReader,
		"the last with the io.EOF": iotest.DataErrReader,
	} {
		if err := s.expectAll(s.reader(slow(bytes.NewReader(stream))), messages); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *suite) checkOwnership() error {
	var out bytes.Buffer
	c := s.open(&conn{out: &out})
	messages := calls(2)
	messages[0].header.Frame().Metadata = map[string]string{"k": "v"}
	for _, m := range messages {
		h, body := m.header, s.body(m)
		if err := c.Write(&h, body); err != nil {
			return err
		}
		if !reflect.DeepEqual(h, m.header) || !s.Equal(body, s.body(m)) {
			return fmt.Errorf("Write changed %+v, %+v into %+v, %+v", m.header, s.body(m), h, body)
		}
		h = codec.Header{ServiceMethod: "Used.Again", Seq: 1e9, Error: "used again"}
		if p := reflect.ValueOf(body); p.Kind() == reflect.Pointer {
			p.Elem().SetZero()
		}
	}
	return s.expectAll(s.reader(&out), messages)
}
