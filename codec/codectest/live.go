package codectest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing/iotest"
	"time"

	"geerpc/codec"
)

// limit is how long a codec may take for something that should be immediate.
const limit = 10 * time.Second

// checkDirections connects two codecs, each of which reads and writes at the
// same time.
func (s *suite) checkDirections() error {
	const rounds = 100
	there, here := newPipe()
	timer := time.AfterFunc(limit, func() { there.Close() }) // unblocks all
	defer timer.Stop()
	a, b := s.open(there), s.open(here)
	results := make(chan error, 4) // one for each goroutine
	for _, c := range []codec.Codec{a, b} {
		go func() { results <- guard(func() error { return s.writeAll(c, rounds) }) }() // ends with its result,
		go func() { results <- guard(func() error { return s.readAll(c, rounds) }) }()  // all of which are waited for
	}
	var errs []error
	for range cap(results) {
		err := <-results
		if err != nil {
			there.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *suite) writeAll(c codec.Codec, n int) error {
	for _, m := range calls(n) {
		if err := s.write(c, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) readAll(c codec.Codec, n int) error {
	for _, m := range calls(n) {
		if err := s.expect(c, m); err != nil {
			return err
		}
	}
	return nil
}

// newPipe returns both ends of a connection without buffers. Closing one end
// closes the other as well.
func newPipe() (*conn, *conn) {
	r1, w1 := io.Pipe()
	r2, w2 := io.Pipe()
	return &conn{in: r1, out: w2}, &conn{in: r2, out: w1}
}

func (s *suite) checkClose() error {
	var out bytes.Buffer
	end := &conn{out: &out}
	c := s.open(end)
	if err := s.write(c, call(0)); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	if !end.closed.Load() {
		return errors.New("the connection is still open")
	}
	return nil
}

func (s *suite) checkCloseWhileReading() error {
	there, _ := newPipe()
	timer := time.AfterFunc(limit, func() { there.Close() }) // in case it reads now
	defer timer.Stop()
	reading := make(chan struct{}, 1)
	there.onRead = func() {
		select {
		case reading <- struct{}{}:
		default:
		}
	}
	c := s.open(there)
	result := make(chan error, 1)
	go func() { // ends with the Close
		result <- guard(func() error { return c.ReadHeader(new(codec.Header)) })
	}()
	timeout := time.After(limit)
	select {
	case <-reading:
	case <-timeout:
		return errors.New("ReadHeader does not read")
	}
	c.Close()
	select {
	case err := <-result:
		if err == nil {
			return errors.New("ReadHeader returned nil from a closed connection")
		}
		return nil
	case <-timeout:
		return fmt.Errorf("ReadHeader still waits, %v after Close", limit)
	}
}

func (s *suite) checkUnknownKinds() error {
	for kind := codec.Credit; kind != 0; kind++ {
		strange := message{codec.Header{Seq: 7}, noBody}
		strange.header.Frame().Kind = kind
		stream, _, err := s.record([]message{call(0), strange, call(1)})
		if err != nil {
			return err
		}
		c := s.reader(bytes.NewReader(stream))
		if err := s.expect(c, call(0)); err != nil {
			return err
		}
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil {
			return fmt.Errorf("ReadHeader of kind %d: %w", kind, err)
		}
		if got := h.Frame().Kind; got < codec.Open {
			return fmt.Errorf("kind %d was read as a %v", kind, got)
		}
		if err := c.ReadBody(nil); err != nil {
			return fmt.Errorf("ReadBody(nil) of kind %d: %w", kind, err)
		}
		if err := s.expectAll(c, []message{call(1)}); err != nil {
			return fmt.Errorf("behind kind %d: %w", kind, err)
		}
	}
	return nil
}

func (s *suite) checkWholeMessages() error {
	messages := calls(3)
	stream, _, err := s.record(messages)
	if err != nil {
		return err
	}
	var reads int
	c := s.open(&conn{in: iotest.OneByteReader(bytes.NewReader(stream)), onRead: func() { reads++ }})
	for _, m := range messages {
		if err := s.expectHeader(c, m); err != nil {
			return err
		}
		before := reads
		if err := c.ReadBody(s.Target()); err != nil {
			return err
		}
		if reads != before {
			return fmt.Errorf("ReadBody read %d times", reads-before)
		}
	}
	return nil
}
