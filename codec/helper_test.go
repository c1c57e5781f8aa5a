package codec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"

	"geerpc/codec"
	"geerpc/internal/wire"
)

// A tape is a connection on which one codec writes what another one reads.
type tape struct {
	bytes.Buffer
	closed bool
}

func (t *tape) Close() error {
	t.closed = true
	return nil
}

// play returns a tape that holds stream.
func play(stream []byte) *tape {
	t := new(tape)
	t.Buffer.Write(stream)
	return t
}

// A layout is a codec in one of its forms on the wire.
type layout struct {
	name string
	open codec.NewCodecFunc
}

var (
	gobPlain     = layout{"gob plain", codec.NewGobCodec}
	gobFramed    = layout{"gob framed", extend(codec.NewGobCodec)}
	jsonPlain    = layout{"json plain", codec.NewJSONCodec}
	jsonExtended = layout{"json extended", extend(codec.NewJSONCodec)}
	jsonFramed   = layout{"json framed", codec.Framed(json.Marshal, json.Unmarshal)}

	layouts    = []layout{gobPlain, gobFramed, jsonPlain, jsonExtended, jsonFramed}
	gobLayouts = []layout{gobPlain, gobFramed}
)

func extend(newCodec codec.NewCodecFunc) codec.NewCodecFunc {
	return func(conn io.ReadWriteCloser) codec.Codec { return newCodec(conn).(codec.Extended).Extend() }
}

// each runs f as a subtest over layouts.
func each(t *testing.T, layouts []layout, f func(t *testing.T, l layout)) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) { f(t, l) })
	}
}

// reader returns a codec that reads stream and takes messages of up to max
// bytes (0: of any size).
func (l layout) reader(stream io.Reader, max int) codec.Codec {
	return l.open(&wire.Conn{Reader: wire.NewReader(stream), Closer: io.NopCloser(nil), MaxRead: max,
		MaxReadDefinitions: codec.DefaultMaxDefinitionBytes})
}

// A writer is a codec that writes messages of up to max bytes (0: of any size).
type writer struct {
	codec.Codec
	out  *tape
	wire *wire.Writer
}

func (l layout) writer(max int) *writer {
	w := &writer{out: new(tape)}
	w.wire = wire.NewWriter(w.out, -1, func(error) {})
	w.Codec = l.open(&wire.Conn{Writer: w.wire, Closer: w.out, MaxWrite: max})
	return w
}

// Write writes a message through to the tape.
func (w *writer) Write(h *codec.Header, body any) error {
	err := w.Codec.Write(h, body)
	w.wire.Drain(context.Background())
	return err
}

// send writes a body with a header that does not matter.
func send(t testing.TB, c codec.Codec, body any) {
	t.Helper()
	if err := c.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, body); err != nil {
		t.Fatalf("Write of %T: %v", body, err)
	}
}

// receive reads a message, its body into a new T.
func receive[T any](t testing.TB, c codec.Codec) T {
	t.Helper()
	readHeader(t, c)
	var body T
	if err := c.ReadBody(&body); err != nil {
		t.Fatalf("ReadBody into %T: %v", &body, err)
	}
	return body
}

func readHeader(t testing.TB, c codec.Codec) {
	t.Helper()
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil {
		t.Fatalf("ReadHeader: %v", err)
	}
	if h.ServiceMethod != "Service.Method" || h.Seq != 7 {
		t.Fatalf("header is %+v", h)
	}
}

func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error is %v, want %v", err, target)
	}
}

// allocated returns how many bytes f allocates, freed or not.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}
