package storm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Parcel is the argument and the reply of every call: random contents, with a
// checksum over all of it. Fields are of the kinds that codecs treat in
// different ways.
type Parcel struct {
	ID    uint64
	Task  string
	For   time.Duration
	Data  []byte
	Text  string
	Tags  map[string]int64
	List  []float64
	Any   any
	Inner *Parcel
	Sum   uint32
}

// newParcel returns a parcel with about size bytes in it.
func newParcel(id uint64, task string, size int) *Parcel {
	p := &Parcel{ID: id, Task: task}
	for left := size; left > 0; {
		n := 1 + rand.IntN(left)
		left -= n
		switch rand.IntN(6) {
		case 0:
			p.Data = append(p.Data, randomBytes(n)...)
		case 1:
			p.Text += randomText(n)
		case 2:
			if p.Tags == nil {
				p.Tags = make(map[string]int64)
			}
			for range min(n/16+1, 100) {
				p.Tags[randomText(8)] = rand.Int64() >> 12
			}
		case 3:
			for range min(n/8+1, 10_000) {
				p.List = append(p.List, rand.NormFloat64())
			}
		case 4:
			p.Any = randomText(n)
		default:
			p.Inner = newParcel(rand.Uint64()>>12, randomText(8), n/2)
		}
	}
	p.Sum = p.sum()
	return p
}

func randomBytes(n int) []byte {
	var b []byte
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rand.Uint64())
	}
	return b[:n]
}

// randomText returns n bytes or some more of text that codecs must escape or
// leave alone: ASCII, controls, brackets, and runes of every length.
func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		switch rand.IntN(8) {
		case 0:
			b.WriteRune(rune(rand.IntN(0x20)))
		case 1:
			b.WriteString(`"}]\\{[`)
		case 2:
			b.WriteRune(rune(0x80 + rand.IntN(0xd000)))
		case 3:
			b.WriteRune(rune(0x10000 + rand.IntN(0x10000)))
		default:
			b.WriteByte(byte(' ' + rand.IntN(95)))
		}
	}
	return b.String()
}

// sum is over all fields but Sum.
func (p *Parcel) sum() uint32 {
	h := crc32.NewIEEE()
	text, _ := p.Any.(string)
	fmt.Fprintf(h, "%d %d %d %d %d %d", p.ID, p.For, len(p.Task), len(p.Data), len(p.Text), len(text))
	for _, s := range []string{p.Task, p.Text, text} {
		io.WriteString(h, s)
	}
	h.Write(p.Data)
	binary.Write(h, binary.LittleEndian, p.List)
	for _, tag := range slices.Sorted(maps.Keys(p.Tags)) {
		fmt.Fprintf(h, "%q=%d", tag, p.Tags[tag])
	}
	if p.Inner != nil {
		fmt.Fprint(h, p.Inner.sum())
	}
	return h.Sum32()
}

// whole tells whether the parcel is as it was made.
func (p *Parcel) whole() bool { return p.Sum == p.sum() }

// A Depot is the service. It enters each call in the ledger.
type Depot struct{ ledger *ledger }

// What a call can ask a Depot to do.
const (
	taskEcho  = "echo"
	taskWait  = "wait" // until the time is up, or the context ends
	taskDeaf  = "deaf" // the same, and no context
	taskFail  = "fail"
	taskPanic = "panic"
	taskExit  = "exit"
)

var tasks = []string{taskEcho, taskEcho, taskEcho, taskEcho, taskEcho, taskEcho, taskWait, taskDeaf, taskFail, taskPanic, taskExit}

var errTask = errors.New("100% of parcels are lost")

// Handle does what the parcel asks for, and returns it.
func (d *Depot) Handle(ctx context.Context, p *Parcel, reply *Parcel) error {
	if !p.whole() {
		return errors.New("the parcel is damaged")
	}
	d.ledger.run(p.ID)
	switch p.Task {
	case taskWait:
		timer := time.NewTimer(p.For)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	case taskDeaf:
		<-time.After(p.For) // what is deaf does not look at its context
	case taskFail:
		return errTask
	case taskPanic:
		panic(p.Text)
	case taskExit:
		runtime.Goexit()
	}
	*reply = *p
	return nil
}

// Quick is Handle for parcels that are echoed: without a context, and with the
// argument by value.
func (d *Depot) Quick(p Parcel, reply *Parcel) error {
	return d.Handle(context.Background(), &p, reply)
}
