package codec_test

import (
	"io"
	"strings"
	"testing"

	"geerpc/codec"
)

// A pieces is a stream that arrives in pieces, one each time it is read.
type pieces struct{ rest []string }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.rest[0])
	if p.rest[0] = p.rest[0][n:]; p.rest[0] == "" {
		p.rest = p.rest[1:]
	}
	return n, nil
}

// TestJSONReady asks whether the next message is at hand when a part of it has
// arrived together with the one before. If it is, ReadHeader must not read.
func TestJSONReady(t *testing.T) {
	const header, body = `{"ServiceMethod":"Service.Method","Seq":7}`, `"text"`
	tests := []struct {
		name, part, rest string
		want             bool
	}{
		{"nothing", "", header + body, false},
		{"half a header", header[:10], header[10:] + body, false},
		{"a header", header, body, false},
		{"a header and its line's end", header + "\n", body, false},
		{"a part of a string", header + `"te`, `xt"`, false},
		{"a backslash", header + `"te\`, `u0078t"`, false},
		{"all but the end of its line", header + body, "", true},
		{"a message", header + "\n" + body + "\n", "", true},
		{"a message and a part of the next", header + body + header, `1`, true},
		{"a number, perhaps", header + "12", "3\n", false},
		{"a number", header + "12\n", "", true},
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				stream := &pieces{[]string{header + body + "\n" + test.part}}
				c := l.reader(stream, 0).(codec.Extended)
				receive[any](t, c)
				for range 2 {
					if got := c.Ready(); got != test.want {
						t.Fatalf("Ready is %v, want %v", got, test.want)
					}
				}
				if test.rest != "" {
					stream.rest = []string{test.rest}
				} else if !test.want {
					return
				}
				receive[any](t, c)
			})
		}
	})
}

// TestJSONReady_Pieces has messages arrive in pieces of all sizes, and asks after
// each whether another one is at hand: none gets lost, and none comes twice.
func TestJSONReady_Pieces(t *testing.T) {
	const message = ` {"ServiceMethod":"Service.Method",` + "\t" + `"Seq":7}` + "\n" + `"\\ \"}{ and more"` + "\n"
	const messages = 5
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for size := 1; size < 2*len(message); size++ {
			stream := &pieces{}
			for text := strings.Repeat(message, messages); text != ""; {
				n := min(size, len(text))
				stream.rest = append(stream.rest, text[:n])
				text = text[n:]
			}
			c := l.reader(stream, 0).(codec.Extended)
			for i := range messages {
				before := len(stream.rest)
				ready := i > 0 && c.Ready()
				if got := receive[string](t, c); got != `\ "}{ and more` {
					t.Fatalf("pieces of %d: got %q", size, got)
				}
				if ready && len(stream.rest) != before {
					t.Fatalf("pieces of %d: a message was ready, and ReadHeader read on", size)
				}
			}
			if c.Ready() {
				t.Fatalf("pieces of %d: ready at the end", size)
			}
			if err := c.ReadHeader(new(codec.Header)); err != io.EOF {
				t.Fatalf("pieces of %d: %v at the end", size, err)
			}
		}
	})
}
