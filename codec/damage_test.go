package codec_test

import (
	"bytes"
	"encoding/gob"
	"io"
	"strings"
	"testing"

	"geerpc/codec"
)

// TestB10_CutGobValues cuts a stream of stock gob whose values are in several
// sections. (The streams of our own codecs are cut by TestConformance.)
func TestB10_CutGobValues(t *testing.T) {
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	var ends []int
	for _, v := range anyValues() {
		enc.Encode(oldHeader{ServiceMethod: "Service.Method", Seq: 7})
		enc.Encode(v)
		ends = append(ends, b.Len())
	}
	stream := b.Bytes()
	for cut := range stream {
		c := gobPlain.reader(bytes.NewReader(stream[:cut]), 0)
		var read, begun int
		for read < len(ends) && ends[read] <= cut {
			readHeader(t, c)
			got := zero(anyValues()[read])
			if err := c.ReadBody(got); err != nil {
				t.Fatalf("cut at %d: body %d: %v", cut, read, err)
			}
			checkBody(t, got, anyValues()[read])
			begun = ends[read]
			read++
		}
		want := io.ErrUnexpectedEOF
		if cut == begun {
			want = io.EOF
		}
		if err := c.ReadHeader(new(codec.Header)); err != want {
			t.Fatalf("cut at %d, ends are %v: ReadHeader returned %v, want %v", cut, ends, err, want)
		}
	}
}

// all is a body of all kinds of values.
type all struct {
	Plain  plain
	Any    any
	Words  []string
	Counts map[string]int
	Raw    []byte
}

func newAll() all {
	return all{plain{"name", leaf{1 << 30}}, box{leaf{3}}, []string{"a", "b"}, map[string]int{"k": 1}, []byte("raw")}
}

// TestB11_FlippedBits flips each bit of a stream. The result may be other
// values, but no panic, no endless loop and no large allocation.
func TestB11_FlippedBits(t *testing.T) {
	const limit = 64 << 20 // gob allocates up to 10 MiB at a time on a false word
	each(t, layouts, func(t *testing.T, l layout) {
		w := l.writer(0)
		for range 3 {
			send(t, w, newAll())
		}
		stream := w.out.Bytes()
		for i := range stream {
			for bit := range 8 {
				flipped := bytes.Clone(stream)
				flipped[i] ^= 1 << bit
				n := allocated(func() {
					c := l.reader(&strict{data: flipped}, 1<<20)
					for messages := 0; c.ReadHeader(new(codec.Header)) == nil; messages++ {
						c.ReadBody(new(all))
						if messages > len(stream) {
							t.Fatalf("bit %d of byte %d: messages without end", bit, i)
						}
					}
				})
				if n > limit {
					t.Errorf("bit %d of byte %d: allocated %d bytes", bit, i, n)
				}
			}
		}
	})
}

// strict is a reader of data that panics if its caller reads on and on at the end.
type strict struct {
	data []byte
	ends int
}

func (e *strict) Read(p []byte) (int, error) {
	if len(e.data) == 0 {
		if e.ends++; e.ends > 100 {
			panic("reads behind the end of the stream")
		}
		return 0, io.EOF
	}
	n := copy(p, e.data)
	e.data = e.data[n:]
	return n, nil
}

// TestB15_HeaderAndBodyDisagree sends bodies that the header's method does not
// take. Those calls fail, the next ones work.
func TestB15_HeaderAndBodyDisagree(t *testing.T) {
	each(t, layouts, func(t *testing.T, l layout) {
		bodies := []any{"a string", 5, []string{"a", "list"}, true, box{leaf{1}}, map[string]int{"Name": 1}, struct{ Name int }{1}}
		c := l.open(new(tape))
		for _, body := range bodies {
			send(t, c, body)
			readHeader(t, c)
			var target plain
			if err := c.ReadBody(&target); err == nil && !(strings.HasPrefix(l.name, "json") && body == any(box{leaf{1}})) {
				t.Errorf("a %T was read into %+v", body, target) // JSON ignores fields that it does not know
			}
			send(t, c, plain{"good", leaf{2}})
			if got := receive[plain](t, c); got != (plain{"good", leaf{2}}) {
				t.Errorf("behind a %T: %+v", body, got)
			}
		}
	})
}

// TestB15_FramedHeaders reads frames whose length is right but whose fields are
// incomplete. The stream ends: such a peer can't be trusted with the rest.
func TestB15_FramedHeaders(t *testing.T) {
	tests := map[string]string{
		"empty":                  "\x00\x00\x00\x00",
		"no flags":               "\x00\x00\x00\x01\x00",
		"no seq":                 "\x00\x00\x00\x02\x00\x01",
		"seq cut":                "\x00\x00\x00\x03\x00\x01\x80",
		"seq too long":           "\x00\x00\x00\x0d\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"method beyond the end":  "\x00\x00\x00\x05\x00\x01\x07\x05a",
		"method of 2⁶³ bytes":    "\x00\x00\x00\x0d\x00\x01\x07\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
		"no timeout":             "\x00\x00\x00\x05\x00\x03\x07\x01a",
		"error cut":              "\x00\x00\x00\x05\x01\x05\x07\x01\x02",
		"no metadata":            "\x00\x00\x00\x05\x00\x09\x07\x01a",
		"metadata cut":           "\x00\x00\x00\x08\x00\x09\x07\x01a\x02\x01k",
		"metadata of 2²⁸ pairs":  "\x00\x00\x00\x09\x00\x09\x07\x01a\x80\x80\x80\x80\x01",
		"metadata of 2048 pairs": "\x00\x00\x00\x07\x00\x09\x07\x01a\x80\x10",
	}
	for name, stream := range tests {
		t.Run(name, func(t *testing.T) {
			c := gobFramed.open(play([]byte(stream)))
			wantIs(t, c.ReadHeader(new(codec.Header)), codec.ErrCorrupt)
		})
	}
}
