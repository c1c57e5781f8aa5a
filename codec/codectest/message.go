package codectest

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"

	"geerpc/codec"
)

// A message is a header and a body to send.
type message struct {
	header codec.Header
	sample int // the body is New(sample), or nil for noBody
}

const noBody = -1

// call and reply return messages with the nth sample.
func call(n int) message {
	return message{codec.Header{ServiceMethod: fmt.Sprintf("Service.Method%d", n), Seq: uint64(n)}, n}
}

func reply(n int) message {
	m := message{codec.Header{Seq: uint64(n)}, n}
	m.header.Frame().Kind = codec.Reply
	return m
}

// calls returns n messages with samples.
func calls(n int) []message {
	all := make([]message, n)
	for i := range all {
		all[i] = call(i)
	}
	return all
}

func (s *suite) body(m message) any {
	if m.sample == noBody {
		return nil
	}
	return s.New(m.sample)
}

// A conn is one end of a connection in memory.
type conn struct {
	in     io.Reader // nil: nothing comes, and nothing may be asked for
	out    io.Writer
	closed atomic.Bool
	onRead func()
}

func (c *conn) Read(p []byte) (int, error) {
	if c.onRead != nil {
		c.onRead()
	}
	if c.in == nil {
		return 0, io.EOF
	}
	return c.in.Read(p)
}

func (c *conn) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close closes what can be closed of both directions.
func (c *conn) Close() error {
	c.closed.Store(true)
	for _, end := range []any{c.in, c.out} {
		if closer, ok := end.(io.Closer); ok {
			closer.Close()
		}
	}
	return nil
}

// open returns the codec under test on c.
func (s *suite) open(c *conn) codec.Codec {
	made := s.newCodec(c)
	if s.extended {
		return made.(codec.Extended).Extend()
	}
	return made
}

// reader returns a codec that reads from r.
func (s *suite) reader(r io.Reader) codec.Codec { return s.open(&conn{in: r, out: io.Discard}) }

// write writes a message with a header of its own.
func (s *suite) write(c codec.Codec, m message) error {
	h := m.header
	if err := c.Write(&h, s.body(m)); err != nil {
		return fmt.Errorf("Write of %+v: %w", m.header, err)
	}
	return nil
}

// record returns the bytes of messages on the wire, and where each ends.
func (s *suite) record(messages []message) (stream []byte, ends []int, err error) {
	var out bytes.Buffer
	c := s.open(&conn{out: &out})
	for _, m := range messages {
		if err := s.write(c, m); err != nil {
			return nil, nil, err
		}
		if n := len(ends); out.Len() == 0 || n > 0 && out.Len() == ends[n-1] {
			return nil, nil, fmt.Errorf("Write of %+v returned before it had written", m.header)
		}
		ends = append(ends, out.Len())
	}
	return out.Bytes(), ends, nil
}

// A stage is how far the reading of a message has come.
type stage int

const (
	atHeader stage = iota
	atBody
	done
)

// read reads a message and compares it to m. The first error is a failure to
// read, at the stage that it returns; the second is a difference from m.
func (s *suite) read(c codec.Codec, m message) (at stage, err, wrong error) {
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil {
		return atHeader, err, nil
	}
	if wrong := s.compare(&h, &m.header); wrong != nil {
		return atHeader, nil, wrong
	}
	target := s.Target()
	if err := c.ReadBody(target); err != nil {
		return atBody, err, nil
	}
	want := s.Target()
	if m.sample != noBody {
		want = s.New(m.sample)
	}
	if !s.Equal(target, want) {
		return atBody, nil, fmt.Errorf("body is %+v, want %+v", pointee(target), pointee(want))
	}
	return done, nil, nil
}

// expect reads a message that must be m.
func (s *suite) expect(c codec.Codec, m message) error {
	at, err, wrong := s.read(c, m)
	switch {
	case wrong != nil:
		return wrong
	case err != nil && at == atHeader:
		return fmt.Errorf("ReadHeader of %+v: %w", m.header, err)
	case err != nil:
		return fmt.Errorf("ReadBody of %+v: %w", m.header, err)
	}
	return nil
}

// expectAll reads messages that must be these, and then the end of the stream.
func (s *suite) expectAll(c codec.Codec, messages []message) error {
	for i, m := range messages {
		if err := s.expect(c, m); err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, len(messages), err)
		}
	}
	if err := c.ReadHeader(new(codec.Header)); err != io.EOF {
		return fmt.Errorf("ReadHeader at the end of the stream returned %v, want io.EOF", err)
	}
	return nil
}

// compare compares the parts of a header that the layout transmits. The plain
// layout transmits the method of a call, the error of a reply and the seq.
func (s *suite) compare(got, want *codec.Header) error {
	same := got.Seq == want.Seq
	if want.Frame().Kind == codec.Reply {
		same = same && got.Error == want.Error
	} else {
		same = same && got.ServiceMethod == want.ServiceMethod
	}
	if g, w := got.Frame(), want.Frame(); s.extended {
		same = same && g.Kind == w.Kind && g.Timeout == w.Timeout &&
			g.Code == w.Code && g.Where == w.Where && g.Ran == w.Ran &&
			len(g.Metadata) == len(w.Metadata) && (len(g.Metadata) == 0 || reflect.DeepEqual(g.Metadata, w.Metadata))
	}
	if !same {
		return fmt.Errorf("header is %+v, want %+v", *got, *want)
	}
	return nil
}
