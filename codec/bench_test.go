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

// BenchmarkRoundTrip writes and reads a call and its reply, as JSON on our own wire and
// as JSON-RPC. Time and allocations are those of both ends.
func BenchmarkRoundTrip(b *testing.B) {
	type small struct{ A, B int }
	ends := []struct {
		name           string
		client, server codec.NewCodecFunc
	}{
		{"json", extend(codec.NewJSONCodec), extend(codec.NewJSONCodec)},
		{"jsonrpc", codec.NewJSONRPCClient, codec.NewJSONRPCServer},
		{"jsonrpc1", codec.NewJSONRPC1Client, codec.NewJSONRPCServer},
	}
	for _, e := range ends {
		b.Run("codec="+e.name, func(b *testing.B) {
			var calls, replies loop
			client, server := e.client(half{&replies, &calls}), e.server(half{&calls, &replies})
			b.Run("payload=small", func(b *testing.B) { benchmarkRoundTrip(b, client, server, small{1, 2}) })
			b.Run("payload=1KiB", func(b *testing.B) { benchmarkRoundTrip(b, client, server, strings.Repeat("x", 1<<10)) })
			b.Run("payload=100structs", func(b *testing.B) { benchmarkRoundTrip(b, client, server, make([]small, 100)) })
		})
	}
}

func benchmarkRoundTrip[T any](b *testing.B, client, server codec.Codec, body T) {
	pass := func(from, to codec.Codec, kind codec.Kind, seq uint64) uint64 {
		var h codec.Header
		h.Seq, h.Frame().Kind = seq, kind
		if kind == codec.Call {
			h.ServiceMethod = "Arith.Add"
		}
		if err := from.Write(&h, body); err != nil {
			b.Fatal(err)
		}
		if err := to.ReadHeader(&h); err != nil {
			b.Fatal(err)
		}
		var got T
		if err := to.ReadBody(&got); err != nil {
			b.Fatal(err)
		}
		return h.Seq
	}
	b.ReportAllocs()
	for seq := uint64(0); b.Loop(); seq++ {
		if got := pass(server, client, codec.Reply, pass(client, server, codec.Call, seq)); got != seq {
			b.Fatalf("seq %d for %d", got, seq)
		}
	}
}
