package codec_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"geerpc/codec"
)

// TestB8_FalseLength announces 4 GiB, or just what is allowed, on many
// connections, and sends nothing of it.
func TestB8_FalseLength(t *testing.T) {
	const connections, perConnection = 256, 8 << 10
	tests := []struct {
		name   string
		layout layout
		bytes  string
		want   error
	}{
		{"framed, 4 GiB", gobFramed, "\xff\xff\xff\xff\x00", codec.ErrTooLarge},
		{"framed, a byte too many", jsonFramed, "\x00\x40\x00\x01\x00", codec.ErrTooLarge},
		{"framed, as many as allowed", gobFramed, "\x00\x40\x00\x00\x00", io.ErrUnexpectedEOF},
		{"gob, 4 GiB", gobPlain, "\xfc\xff\xff\xff\xff\x02", codec.ErrCorrupt},
		{"gob, 2⁶⁴ - 1", gobPlain, "\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x02", codec.ErrCorrupt},
		{"gob, 1 GiB", gobPlain, "\xfc\x40\x00\x00\x00\x02", codec.ErrTooLarge},
		{"gob, as many as fit", gobPlain, "\xfd\x3f\xff\xfc\x02", io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := allocated(func() {
				for range connections {
					c := test.layout.reader(strings.NewReader(test.bytes), 4<<20)
					wantIs(t, c.ReadHeader(new(codec.Header)), test.want)
				}
			})
			if n > connections*perConnection {
				t.Errorf("%d connections allocated %d bytes", connections, n)
			}
		})
	}
}

// TestB9_Limit sends values around the size limit. The reader takes all that the
// writer sends. What the writer refuses leaves nothing behind, least of all a
// definition that counts as sent.
func TestB9_Limit(t *testing.T) {
	const max = 2000
	each(t, layouts, func(t *testing.T, l layout) {
		var passed, refused int
		for size := max - 400; size < max; size++ {
			w := l.writer(max)
			r := l.reader(w.out, max)
			big := plain{Name: strings.Repeat("x", size)}
			for range 2 { // the type is new, then known
				err := w.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, big)
				if err == nil {
					passed++
					if got := receive[plain](t, r); got != big {
						t.Fatal("the value has changed")
					}
					continue
				}
				refused++
				wantIs(t, err, codec.ErrTooLarge)
				if w.out.Len() > 0 {
					t.Fatalf("%d bytes were sent of a message that is too large", w.out.Len())
				}
			}
			send(t, w, plain{Name: "small"})
			if got := receive[plain](t, r); got.Name != "small" {
				t.Fatalf("body is %+v", got)
			}
		}
		if passed == 0 || refused == 0 {
			t.Errorf("%d passed, %d were refused: the limit is elsewhere", passed, refused)
		}
	})
}

// TestB9_ReaderLimit has a writer without a limit send one byte more than the
// reader takes, and as much as it takes.
func TestB9_ReaderLimit(t *testing.T) {
	each(t, layouts, func(t *testing.T, l layout) {
		w := l.writer(0)
		send(t, w, plain{Name: strings.Repeat("x", 1000)})
		stream := w.out.Bytes()
		limit := len(stream)
		if strings.HasSuffix(l.name, "framed") {
			limit -= 4 // the length does not count itself
		}
		if strings.HasPrefix(l.name, "json") && l.name != "json framed" {
			limit-- // nor does the newline at the end
		}
		receive[plain](t, l.reader(bytes.NewReader(stream), limit))
		err := l.reader(bytes.NewReader(stream), limit-1).ReadHeader(new(codec.Header))
		wantIs(t, err, codec.ErrTooLarge)
	})
}
