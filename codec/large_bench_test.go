package codec_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"testing"

	"geerpc/codec"
	"geerpc/internal/wire"
)

// BenchmarkGobLarge writes and reads large values of types that take more care
// than structs of numbers: those that hold interfaces, maps or themselves.
// Compare with stock gob, which has a stream of its own.
func BenchmarkGobLarge(b *testing.B) {
	anys := make([]any, 300_000)
	for i := range anys {
		anys[i] = i
	}
	counts := make(map[string][]int)
	for i := range 3000 {
		counts[fmt.Sprint(i)] = make([]int, 1000)
	}
	b.Run("value=anys", func(b *testing.B) { benchmarkLarge(b, anys) })
	b.Run("value=map", func(b *testing.B) { benchmarkLarge(b, counts) })
	b.Run("value=tree", func(b *testing.B) { benchmarkLarge(b, newTree(16)) })
}

type tree struct {
	N           int
	Left, Right *tree
}

func newTree(height int) *tree {
	if height == 0 {
		return nil
	}
	return &tree{height, newTree(height - 1), newTree(height - 1)}
}

func benchmarkLarge[T any](b *testing.B, body T) {
	b.Run("codec=stock", func(b *testing.B) {
		var conn bytes.Buffer
		enc, dec := gob.NewEncoder(&conn), gob.NewDecoder(&conn)
		b.ReportAllocs()
		for b.Loop() {
			var got T
			if err := enc.Encode(body); err != nil {
				b.Fatal(err)
			}
			if err := dec.Decode(&got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("codec=gob", func(b *testing.B) { benchmarkCodec(b, unlimited(codec.NewGobCodec), body) })
}

// unlimited makes extended codecs, on connections without limits.
func unlimited(newCodec codec.NewCodecFunc) codec.NewCodecFunc {
	return func(conn io.ReadWriteCloser) codec.Codec {
		out := wire.NewWriter(conn, -1, func(error) {})
		c := newCodec(&wire.Conn{Reader: wire.NewReader(conn), Writer: out, Closer: conn})
		return &drained{c.(codec.Extended).Extend(), out}
	}
}

// drained waits in Write until the message has been written.
type drained struct {
	codec.Codec
	out *wire.Writer
}

func (d *drained) Write(h *codec.Header, body any) error {
	err := d.Codec.Write(h, body)
	d.out.Drain(context.Background())
	return err
}
