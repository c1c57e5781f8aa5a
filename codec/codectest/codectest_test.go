package codectest

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"encoding/json"
	"io"
	"slices"
	"testing"

	"geerpc/codec"
)

// A gobCodec is what users of GeeRPC wrote: header and body, each encoded whole
// by encoding/gob. It keeps what gob can keep.
type gobCodec struct {
	conn io.ReadWriteCloser
	buf  *bufio.Writer
	dec  *gob.Decoder
	enc  *gob.Encoder
}

func newGobCodec(conn io.ReadWriteCloser) codec.Codec {
	buf := bufio.NewWriter(conn)
	return &gobCodec{conn: conn, buf: buf, dec: gob.NewDecoder(conn), enc: gob.NewEncoder(buf)}
}

func (c *gobCodec) ReadHeader(h *codec.Header) error { return c.dec.Decode(h) }
func (c *gobCodec) ReadBody(body any) error          { return c.dec.Decode(body) }
func (c *gobCodec) Close() error                     { return c.conn.Close() }

func (c *gobCodec) Write(h *codec.Header, body any) (err error) {
	defer func() {
		c.buf.Flush()
		if err != nil {
			c.Close()
		}
	}()
	if err := c.enc.Encode(h); err != nil {
		return err
	}
	return c.enc.Encode(body)
}

// failures returns the names of the checks that a codec fails, of those named
// or of all.
func failures(newCodec codec.NewCodecFunc, extended bool, among ...string) (names []string) {
	s := &suite{newCodec: newCodec, extended: extended}
	s.setDefaults()
	for _, c := range checks {
		if len(among) > 0 && !slices.Contains(among, c.name) || c.extended && !extended {
			continue
		}
		if s.check(c) != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// TestNaiveGobCodec checks that the known faults of GeeRPC's own codec are found:
// it can't send nil, and a value that can't be encoded leaves its header on the
// wire.
func TestNaiveGobCodec(t *testing.T) {
	want := []string{"nil bodies", "values that can not be encoded"}
	if got := failures(newGobCodec, false); !slices.Equal(got, want) {
		t.Errorf("the checks that fail are %q, want %q", got, want)
	}
}

// A fault is a codec with one thing wrong.
type fault struct {
	codec.Codec
	made       func(conn io.ReadWriteCloser)
	readHeader func(codec.Codec, *codec.Header) error
	readBody   func(codec.Codec, any) error
	write      func(codec.Codec, *codec.Header, any) error
	leaveOpen  bool
}

func (f fault) ReadHeader(h *codec.Header) error {
	if f.readHeader != nil {
		return f.readHeader(f.Codec, h)
	}
	return f.Codec.ReadHeader(h)
}

func (f fault) ReadBody(body any) error {
	if f.readBody != nil {
		return f.readBody(f.Codec, body)
	}
	return f.Codec.ReadBody(body)
}

func (f fault) Write(h *codec.Header, body any) error {
	if f.write != nil {
		return f.write(f.Codec, h, body)
	}
	return f.Codec.Write(h, body)
}

func (f fault) Close() error {
	if f.leaveOpen {
		return nil
	}
	return f.Codec.Close()
}

func (f fault) Extend() codec.Codec { return f }

// TestFaultsAreFound breaks a good codec in one way at a time. A suite that
// passes everything is worth nothing.
func TestFaultsAreFound(t *testing.T) {
	tests := []struct {
		name  string
		fault fault
		check string // that must fail
	}{
		{"writes when made", fault{made: func(conn io.ReadWriteCloser) { io.WriteString(conn, "\n") }}, "silent construction"},
		{"loses the seq", fault{readHeader: func(c codec.Codec, h *codec.Header) error {
			err := c.ReadHeader(h)
			h.Seq &= 0xffff
			return err
		}}, "headers"},
		{"loses metadata", fault{write: func(c codec.Codec, h *codec.Header, body any) error {
			small := *h
			small.Frame().Metadata = nil
			return c.Write(&small, body)
		}}, "headers"},
		{"loses bodies", fault{readBody: func(c codec.Codec, body any) error { return c.ReadBody(nil) }}, "bodies"},
		{"chokes on nil", fault{write: func(c codec.Codec, h *codec.Header, body any) error {
			if body == nil {
				return io.ErrShortWrite
			}
			return c.Write(h, body)
		}}, "nil bodies"},
		{"can't skip", fault{readBody: func(c codec.Codec, body any) error {
			if body == nil {
				return io.ErrNoProgress
			}
			return c.ReadBody(body)
		}}, "skipped bodies"},
		{"hides misfits", fault{readBody: func(c codec.Codec, body any) error { c.ReadBody(body); return nil }}, "bodies that do not fit"},
		{"takes cuts for the end", fault{readHeader: func(c codec.Codec, h *codec.Header) error {
			if err := c.ReadHeader(h); err != nil {
				return io.EOF
			}
			return nil
		}}, "streams cut at every byte"},
		{"ends with another error", fault{readHeader: func(c codec.Codec, h *codec.Header) error {
			if err := c.ReadHeader(h); err != nil {
				return io.ErrUnexpectedEOF
			}
			return nil
		}}, "streams cut at every byte"},
		{"uses the header as scratch", fault{write: func(c codec.Codec, h *codec.Header, body any) error {
			err := c.Write(h, body)
			h.ServiceMethod = ""
			return err
		}}, "reuse after Write"},
		{"stays open", fault{leaveOpen: true}, "Close"},
		{"chokes on unknown kinds", fault{readHeader: func(c codec.Codec, h *codec.Header) error {
			err := c.ReadHeader(h)
			if h.Frame().Kind > codec.Pong {
				return io.ErrNoProgress
			}
			return err
		}}, "unknown kinds"},
		{"panics", fault{readBody: func(codec.Codec, any) error { panic("out of coffee") }}, "bodies"},
	}
	good := codec.Framed(json.Marshal, json.Unmarshal)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := failures(func(conn io.ReadWriteCloser) codec.Codec {
				f := test.fault
				f.Codec = good(conn)
				if f.made != nil {
					f.made(conn)
				}
				return f
			}, true, test.check)
			if len(got) == 0 {
				t.Errorf("%q passes", test.check)
			}
		})
	}
}

// TestFaultsInOrder finds faults that need a codec of their own: bytes that are
// written late, written in part, or read too early.
func TestFaultsInOrder(t *testing.T) {
	tests := []struct {
		name     string
		newCodec codec.NewCodecFunc
		check    string
	}{
		{"writes with the next", func(conn io.ReadWriteCloser) codec.Codec {
			return &late{Codec: codec.NewJSONCodec(conn)}
		}, "bodies"},
		{"reads bodies late", func(conn io.ReadWriteCloser) codec.Codec {
			return extending{newGobCodec(conn)}
		}, "whole messages"},
		{"loses what it read ahead", func(conn io.ReadWriteCloser) codec.Codec {
			return &forgetful{Codec: newGobCodec(conn), conn: conn}
		}, "bodies"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := failures(test.newCodec, true, test.check); len(got) == 0 {
				t.Errorf("%q passes", test.check)
			}
		})
	}
}

// late writes a message when the next one comes.
type late struct {
	codec.Codec
	header *codec.Header
	body   any
}

func (c *late) Extend() codec.Codec { return c }

func (c *late) Write(h *codec.Header, body any) (err error) {
	if c.header != nil {
		err = c.Codec.Write(c.header, c.body)
	}
	c.header, c.body = h, body
	return err
}

// extending claims to be extended, but is not.
type extending struct{ codec.Codec }

func (c extending) Extend() codec.Codec { return c }

// forgetful makes a new decoder for each message, and so loses what the previous
// decoder had read ahead.
type forgetful struct {
	codec.Codec
	conn io.ReadWriteCloser
	dec  *json.Decoder
}

func (c *forgetful) Extend() codec.Codec { return c }

func (c *forgetful) Write(h *codec.Header, body any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.Encode(h)
	if err := enc.Encode(body); err != nil {
		return err
	}
	_, err := c.conn.Write(b.Bytes())
	return err
}

func (c *forgetful) ReadHeader(h *codec.Header) error {
	c.dec = json.NewDecoder(c.conn)
	return c.dec.Decode(h)
}

func (c *forgetful) ReadBody(body any) error { return c.dec.Decode(body) }
