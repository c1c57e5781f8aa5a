package codec

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"testing"

	"geerpc/internal/wire"
)

// fuzzLimit limits fuzzed messages, so that each costs little.
const fuzzLimit = 1 << 16

// fuzzValue is a body with all kinds of values that decoders treat specially.
type fuzzValue struct {
	N    int
	S    string
	B    []byte
	M    map[string]int
	L    []fuzzValue
	P    *fuzzValue
	F    float64
	Any  any
	Bits [3]bool
}

// readOnly is a connection that discards what is written to it.
type readOnly struct{ io.Reader }

func (readOnly) Write(p []byte) (int, error) { return len(p), nil }
func (readOnly) Close() error                { return nil }

// fuzzConn returns a connection from which a codec reads data, under the limit.
func fuzzConn(data []byte) *wire.Conn {
	rw := readOnly{bytes.NewReader(data)}
	return &wire.Conn{Reader: wire.NewReader(rw), Writer: wire.NewWriter(rw, -1, func(error) {}),
		Closer: rw, MaxRead: fuzzLimit, MaxWrite: fuzzLimit,
		MaxReadDefinitions: DefaultMaxDefinitionBytes, MaxWriteDefinitions: DefaultMaxDefinitionBytes}
}

// fuzzDecoder reads fuzzed messages: they must end, and must not cause a panic.
func fuzzDecoder(f *testing.F, newCodec NewCodecFunc, extend bool) {
	f.Add(fuzzSeed(f, newCodec, extend))
	f.Fuzz(func(t *testing.T, data []byte) {
		cc := newCodec(fuzzConn(data))
		if extend {
			cc = cc.(Extended).Extend()
		}
		var h Header
		for messages := 0; cc.ReadHeader(&h) == nil; messages++ {
			if messages > len(data) {
				t.Fatalf("%d messages in %d bytes", messages, len(data))
			}
			switch messages % 3 {
			case 0:
				cc.ReadBody(new(fuzzValue))
			case 1:
				cc.ReadBody(new(int))
			default:
				cc.ReadBody(nil)
			}
		}
	})
}

// fuzzSeed returns some messages as the codec writes them.
func fuzzSeed(f *testing.F, newCodec NewCodecFunc, extend bool) []byte {
	f.Helper()
	var out bytes.Buffer
	cc := newCodec(struct {
		io.Reader
		io.Writer
		io.Closer
	}{&out, &out, readOnly{}})
	if extend {
		cc = cc.(Extended).Extend()
	}
	h := Header{ServiceMethod: "Service.Method", Seq: 7, Error: "an error"}
	for kind := Call; kind <= Pong; kind++ {
		*h.Frame() = Frame{Kind: kind, Timeout: 1e9, Code: 4, Where: 1, Ran: 2, Metadata: map[string]string{"key": "value"}}
		v := fuzzValue{N: 1, S: "s", M: map[string]int{"m": 1}, L: []fuzzValue{{N: 2}}, P: &fuzzValue{F: 1.5}, Any: "any"}
		if err := cc.Write(&h, v); err != nil {
			f.Fatal(err)
		}
		if err := cc.Write(&h, nil); err != nil {
			f.Fatal(err)
		}
	}
	return out.Bytes()
}

func FuzzGobPlain(f *testing.F)     { fuzzDecoder(f, NewGobCodec, false) }
func FuzzGobFramed(f *testing.F)    { fuzzDecoder(f, NewGobCodec, true) }
func FuzzJSONPlain(f *testing.F)    { fuzzDecoder(f, NewJSONCodec, false) }
func FuzzJSONExtended(f *testing.F) { fuzzDecoder(f, NewJSONCodec, true) }
func FuzzFramed(f *testing.F)       { fuzzDecoder(f, Framed(json.Marshal, json.Unmarshal), true) }

// FuzzFrameHeader writes a header and reads it back.
func FuzzFrameHeader(f *testing.F) {
	f.Add("Service.Method", uint64(1), "error", int64(5), byte(1), byte(2), byte(1), byte(2), "k", "v")
	f.Add("", uint64(1), "error", int64(0), byte(1), byte(0), byte(1), byte(2), "k", "v")
	f.Fuzz(func(t *testing.T, method string, seq uint64, text string, timeout int64, kind, code, where, ran byte, k, v string) {
		want := Header{Seq: seq, frame: Frame{Kind: Kind(kind) % (Pong + 1), Metadata: map[string]string{k: v}}}
		switch want.frame.Kind {
		case Call:
			want.ServiceMethod, want.frame.Timeout = method, max(timeout, 0)
		case Reply:
			if want.Error = text; text != "" || code != 0 {
				want.frame.Code, want.frame.Where, want.frame.Ran = code, where, ran
			}
		}
		frame := appendFrame(nil, &want, false)
		if want.Error != "" && want.frame.Code == 0 {
			want.frame.Code = unknownCode
		}
		var got Header
		if err := new(framed).parse(frame[lengthBytes:], &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	})
}
