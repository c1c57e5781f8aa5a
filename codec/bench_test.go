package codec_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"geerpc/codec"
)

// A loop is a connection to oneself.
type loop struct{ bytes.Buffer }

func (*loop) Close() error { return nil }

// BenchmarkCodec writes and reads a call, by codec and by payload. Time and
// allocations are those of both ends.
func BenchmarkCodec(b *testing.B) {
	type small struct{ A, B int }
	codecs := []struct {
		name string
		open codec.NewCodecFunc
	}{
		{"gob-plain", codec.NewGobCodec},
		{"gob", extend(codec.NewGobCodec)},
		{"json-plain", codec.NewJSONCodec},
		{"json", extend(codec.NewJSONCodec)},
		{"framed-json", extend(codec.Framed(json.Marshal, json.Unmarshal))},
	}
	for _, c := range codecs {
		b.Run("codec="+c.name, func(b *testing.B) {
			b.Run("payload=small", func(b *testing.B) { benchmarkCodec(b, c.open, small{1, 2}) })
			b.Run("payload=1KiB", func(b *testing.B) { benchmarkCodec(b, c.open, strings.Repeat("x", 1<<10)) })
			b.Run("payload=64KiB", func(b *testing.B) { benchmarkCodec(b, c.open, strings.Repeat("x", 64<<10)) })
			b.Run("payload=100structs", func(b *testing.B) { benchmarkCodec(b, c.open, make([]small, 100)) })
		})
	}
}

func benchmarkCodec[T any](b *testing.B, open codec.NewCodecFunc, body T) {
	cc := open(new(loop))
	defer cc.Close()
	var seq uint64
	b.ReportAllocs()
	for b.Loop() {
		seq++
		if err := cc.Write(&codec.Header{ServiceMethod: "Arith.Add", Seq: seq}, body); err != nil {
			b.Fatal(err)
		}
		var h codec.Header
		var got T
		if err := cc.ReadHeader(&h); err != nil || h.Seq != seq {
			b.Fatalf("seq %d for %d, %v", h.Seq, seq, err)
		}
		if err := cc.ReadBody(&got); err != nil {
			b.Fatal(err)
		}
	}
}
