package codec_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"geerpc/codec"
)

// A once encodes a buffer by emptying it.
type once struct{ b *bytes.Buffer }

func (d once) GobEncode() ([]byte, error) { return d.b.Next(d.b.Len()), nil }

func (d *once) GobDecode(data []byte) error {
	d.b = bytes.NewBuffer(bytes.Clone(data))
	return nil
}

type onceBox struct {
	Name string
	Any  any
}

func init() {
	gob.Register(once{})
	gob.Register(onceBox{})
}

// TestC118_EncoderThatFailsTheSecondTime sends values whose encoder fails every
// second time, alone and behind a type that is new. Each is sent or fails on its
// own, and other values are not affected.
func TestC118_EncoderThatFailsTheSecondTime(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		turns := 0
		m := moody{func() ([]byte, error) {
			if turns++; turns%2 == 0 {
				return nil, errors.New("not today")
			}
			return []byte("x"), nil
		}}
		conn := new(tape)
		c := l.open(conn)
		for i, v := range []any{&m, box{m}, carrier{Leaf: &plain{}, First: leaf{1}, Moody: &m}, boxes{List: []any{leaf2{}, m}}} {
			for try := range 2 {
				err := c.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, v)
				if turns != 2*i+try+1 {
					t.Fatalf("%T was encoded %d times for %d messages", v, turns, 2*i+try+1)
				}
				if fails := try == 1; (err != nil) != fails || conn.closed || fails && conn.Len() > 0 {
					t.Fatalf("try %d of %T: %v, %d bytes, closed: %t", try, v, err, conn.Len(), conn.closed)
				}
				if err == nil {
					readHeader(t, c)
					if err := c.ReadBody(zero(v)); err != nil {
						t.Fatalf("ReadBody of %T: %v", v, err)
					}
				}
				send(t, c, boxes{List: []any{leaf{3}, leaf2{[]leaf3{{"b"}}}}})
				if got := receive[boxes](t, c); got.List[0] != (leaf{3}) {
					t.Fatalf("a bystander is %+v", got)
				}
			}
		}
	})
}

// TestC118_EncoderThatEndsItsGoroutine sends values whose encoder ends the
// goroutine. Nothing of them is sent, and the next values can be read.
func TestC118_EncoderThatEndsItsGoroutine(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		conn := new(tape)
		c := l.open(conn)
		leaves := moody{func() ([]byte, error) { runtime.Goexit(); return nil, nil }}
		good := box{leaf{1}}
		for range 3 {
			var wg sync.WaitGroup
			wg.Go(func() { c.Write(new(codec.Header), carrier{Leaf: &plain{}, First: leaf{1}, Then: leaves}) })
			wg.Wait()
			if conn.Len() > 0 {
				t.Fatalf("%d bytes were written", conn.Len())
			}
			send(t, c, good)
			if got := receive[box](t, c); got != good {
				t.Fatalf("got %+v", got)
			}
		}
	})
}

// TestC125_EncoderThatRunsOnce sends values that can be encoded only once.
func TestC125_EncoderThatRunsOnce(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		c := l.open(new(tape))
		for i := range 3 {
			text := fmt.Sprintf("text %d", i)
			send(t, c, once{bytes.NewBufferString(text)})
			if got := receive[once](t, c); got.b.String() != text {
				t.Errorf("got %q, want %q", got.b, text)
			}
			send(t, c, onceBox{text, once{bytes.NewBufferString(text)}})
			if got := receive[onceBox](t, c); got.Name != text || got.Any.(once).b.String() != text {
				t.Errorf("got %q", got)
			}
		}
	})
}

// TestC125_EncoderThatGrows encodes to more than the limit every second time.
// The type is defined when a value of it is sent, and only then.
func TestC125_EncoderThatGrows(t *testing.T) {
	const max = 2000
	each(t, gobLayouts, func(t *testing.T, l layout) {
		for first := range 2 {
			w := l.writer(max)
			r := l.reader(w.out, max)
			size := 10
			m := moody{func() ([]byte, error) { return make([]byte, size), nil }}
			grow := moody{func() ([]byte, error) { size = max + 10 - size; return m.encode() }}
			if first == 1 {
				size = max
			}
			for range 6 {
				err := w.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, carrier{First: leaf{1}, Moody: &grow})
				if size == max {
					wantIs(t, err, codec.ErrTooLarge)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := receive[carrier](t, r); got.First != (leaf{1}) {
					t.Fatalf("got %+v", got)
				}
			}
		}
	})
}

// TestC118_MixedWithFailures sends good values among those that fail or are too
// large, in any order. Stock gob and our own reader read all the good ones.
func TestC118_MixedWithFailures(t *testing.T) {
	const max = 10_000
	fail, panics := failing(), panicking()
	bad := []any{
		make(chan int), box{func() {}}, &fail, carrier{Leaf: &plain{}, First: leaf{1}, Then: fail},
		carrier{First: boxes{List: []any{leaf2{}}}, Then: panics}, box{strings.Repeat("x", max)},
		plain{Name: strings.Repeat("x", max)}, leaf2{make([]leaf3, max)}, struct{ hidden int }{},
		boxes{List: []any{leaf{1}, leaf2{}, []leaf{{1}}}, Map: map[string]any{"k": strings.Repeat("x", max)}},
	}
	good := append(anyValues(), plain{"n", leaf{1}}, leaf{2}, 5, "text", []leaf{{3}}, map[string]leaf{"a": {1}}, newTree(3))
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		w, framed := gobPlain.writer(max), gobFramed.writer(max)
		var sent []any
		for range 30 {
			if rnd.IntN(2) == 0 {
				v := bad[rnd.IntN(len(bad))]
				for _, w := range []*writer{w, framed} {
					if err := w.Write(new(codec.Header), v); err == nil {
						t.Fatalf("seed %d: %T was written", seed, v)
					}
				}
				continue
			}
			v := good[rnd.IntN(len(good))]
			sent = append(sent, v)
			send(t, w, v)
			send(t, framed, v)
		}
		stock := gob.NewDecoder(bytes.NewReader(bytes.Clone(w.out.Bytes())))
		for _, r := range []codec.Codec{gobPlain.reader(w.out, max), gobFramed.reader(framed.out, max)} {
			for i, want := range sent {
				readHeader(t, r)
				got := zero(want)
				if err := r.ReadBody(got); err != nil {
					t.Fatalf("seed %d, value %d, %T: %v", seed, i, want, err)
				}
				checkBody(t, got, want)
			}
		}
		for i, want := range sent {
			got := zero(want)
			if err := stock.Decode(new(oldHeader)); err != nil {
				t.Fatalf("seed %d, header %d: stock gob says %v", seed, i, err)
			}
			if err := stock.Decode(got); err != nil {
				t.Fatalf("seed %d, value %d, %T: stock gob says %v", seed, i, want, err)
			}
			checkBody(t, got, want)
		}
	}
}
