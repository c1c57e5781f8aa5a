package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"geerpc/internal/wire"
)

// texts returns n bytes that compress well, or hardly at all.
func texts(n int, random bool) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.Uint32()); !random {
			b[i] = 'a' + b[i]%4
		}
	}
	return b
}

// unpack reads all that is in packed, through the connection's reader.
func unpack(packed []byte, a Algorithm) ([]byte, error) {
	return io.ReadAll(NewUnpacker(wire.NewReader(bytes.NewReader(packed)), a))
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, minBlock - 1, minBlock, minBlock + 1, 4096, MaxBlock - 1, MaxBlock, MaxBlock + 1, 3*MaxBlock + 17} {
		for _, random := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bytes, random %v", n, random), func(t *testing.T) {
				raw := texts(n, random)
				packed := NewPacker(Flate{}).Pack([]byte("before"), raw)
				if string(packed[:6]) != "before" {
					t.Fatal("what was there is gone")
				}
				packed = packed[6:]
				if most := n + plainHeader*((n+MaxBlock-1)/MaxBlock); len(packed) > most || !random && n > 4096 && len(packed) > n/2 {
					t.Errorf("packed in %d bytes", len(packed))
				}
				got, err := unpack(packed, Flate{})
				if err != nil || !bytes.Equal(got, raw) {
					t.Errorf("%d bytes came back, %v", len(got), err)
				}
			})
		}
	}
}

// TestSmallReads: a stream is the same however it arrives and is read.
func TestSmallReads(t *testing.T) {
	raw := append(texts(3000, false), texts(200, true)...)
	var packed []byte
	for n := 0; n < len(raw); n += 700 {
		packed = NewPacker(Flate{}).Pack(packed, raw[n:min(n+700, len(raw))])
	}
	u := NewUnpacker(wire.NewReader(iotest.OneByteReader(bytes.NewReader(packed))), Flate{})
	got, err := io.ReadAll(iotest.OneByteReader(u))
	if err != nil || !bytes.Equal(got, raw) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if u.block != nil {
		t.Error("a block is kept")
	}
}

// TestNewline: one may end what came before the first block, and no other.
func TestNewline(t *testing.T) {
	packed := NewPacker(Flate{}).Pack([]byte{'\n'}, []byte("first"))
	if got, err := unpack(packed, Flate{}); string(got) != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, before := range []string{"\n\n", string(packed) + "\n"} {
		if _, err := unpack(append([]byte(before), plainBlock([]byte("x"))...), Flate{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("behind %q: %v", before, err)
		}
	}
}

// TestCutAnywhere: a stream that ends within a block is not at its end.
func TestCutAnywhere(t *testing.T) {
	packed := NewPacker(Flate{}).Pack(nil, texts(1000, false))
	for n := 1; n < len(packed); n++ {
		if _, err := unpack(packed[:n], Flate{}); err != io.ErrUnexpectedEOF {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
	}
}

// codedBlock returns a compressed block with lengths as told.
func codedBlock(raw, coded int, data []byte) []byte {
	return append(appendLength(appendLength([]byte{compressed}, raw), coded), data...)
}

// plainBlock returns a block that is not compressed.
func plainBlock(data []byte) []byte {
	return append(appendLength([]byte{plain}, len(data)), data...)
}

// TestB13_Bombs: a block is what it says, or an error; what it says is all the
// memory that it takes.
func TestB13_Bombs(t *testing.T) {
	huge := Flate{}.Compress(nil, make([]byte, 50<<20))
	zeros := Flate{}.Compress(nil, make([]byte, 1000))
	for name, b := range map[string][]byte{
		"decodes into more":     codedBlock(MaxBlock, MaxBlock-1, huge[:MaxBlock-1]),
		"decodes into one more": codedBlock(999, len(zeros), zeros),
		"decodes into one less": codedBlock(1001, len(zeros), zeros),
		"is not compressed":     codedBlock(1000, 300, texts(300, true)),
		"coded in more":         codedBlock(10, 11, make([]byte, 11)),
		"of no known kind":      append([]byte{2}, plainBlock(texts(300, true))[1:]...),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := unpack(b, Flate{})
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error is %v", err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("%d bytes were allocated", took)
			}
		})
	}
}

// a faulty algorithm does what its name says.
type faulty string

func (f faulty) Compress(dst, src []byte) []byte {
	switch f {
	case "panics":
		panic("compress")
	case "nothing":
		return nil
	case "elsewhere":
		return append([]byte(nil), src[:len(src)/2]...)
	case "grows":
		return append(append(dst, src...), 1)
	}
	return append(dst, src[:1]...)
}

func (f faulty) Decompress(dst, _ []byte) error {
	if f == "panics" {
		panic("decompress")
	}
	copy(dst, strings.Repeat("x", len(dst)))
	return nil
}

// TestFaultyAlgorithms cost at most that nothing is compressed, and the
// connection that they decompress for.
func TestFaultyAlgorithms(t *testing.T) {
	raw := texts(1000, false)
	for _, f := range []faulty{"panics", "nothing", "grows"} {
		if packed := NewPacker(f).Pack(nil, raw); !bytes.Equal(packed, plainBlock(raw)) {
			t.Errorf("%s: the block is not as it was", f)
		}
	}
	if packed := NewPacker(faulty("elsewhere")).Pack(nil, raw); !bytes.Equal(packed, codedBlock(1000, 500, raw[:500])) {
		t.Error("elsewhere: what was returned is not what is sent")
	}
	if _, err := unpack(codedBlock(1000, 1, []byte{1}), faulty("panics")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("error is %v", err)
	}
}

// TestConcurrent: what connections share is not mixed up.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				raw := texts(1000*n+i+1, i%3 == 0)
				got, err := unpack(NewPacker(Flate{}).Pack(nil, raw), Flate{})
				if err != nil || !bytes.Equal(got, raw) {
					t.Errorf("%d of %d bytes, %v", len(got), len(raw), err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzUnpacker(f *testing.F) {
	f.Add(NewPacker(Flate{}).Pack(nil, texts(1000, false)))
	f.Add(plainBlock([]byte("plain")))
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := unpack(packed, Flate{})
		if most := (len(packed)/(plainHeader+1) + 1) * MaxBlock; len(got) > most {
			t.Errorf("%d bytes came out of %d", len(got), len(packed))
		}
		if err != nil {
			return
		}
		again, err := unpack(NewPacker(Flate{}).Pack(nil, got), Flate{})
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%d bytes came back as %d, %v", len(got), len(again), err)
		}
	})
}

func BenchmarkPack(b *testing.B) {
	for _, n := range []int{100, 1 << 10, MaxBlock} {
		raw := texts(n, false)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			var packed []byte
			for b.Loop() {
				packed = NewPacker(Flate{}).Pack(packed[:0], raw)
			}
			b.ReportMetric(float64(n)/float64(len(packed)), "ratio")
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	for _, n := range []int{100, 1 << 10, MaxBlock} {
		packed := NewPacker(Flate{}).Pack(nil, texts(n, false))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			p := make([]byte, MaxBlock)
			in := bytes.NewReader(packed)
			for b.Loop() {
				in.Reset(packed)
				if _, err := io.ReadFull(NewUnpacker(wire.NewReader(in), Flate{}), p[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
