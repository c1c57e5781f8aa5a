package gobstream

import (
	"errors"
	"reflect"
	"runtime"
	"testing"
)

type (
	grove   struct{ Trees []grove }
	thicket map[string]thicket
	keyed   map[[32]byte]bool
)

// sectionOf returns a section with a value of a type.
func sectionOf(id int, value []byte) []byte {
	section := append(appendInt(nil, int64(id)), value...)
	return append(appendUint(nil, uint64(len(section))), section...)
}

// allocated returns how many bytes f allocates.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// A value may announce as many elements as it has bytes, over and over, each time within
// the first of them. Its type is known by then, so that a plan reads it.
func TestGobPlan_AnnouncedWithin(t *testing.T) {
	const size, levels = 1 << 20, 100
	for _, c := range []struct {
		first any
		value []byte // that stands alone
		level string // before the number of elements
		least int    // bytes of an element
	}{
		{grove{Trees: make([]grove, 1)}, nil, "\x01", 1},
		{thicket{"": {"": nil}}, []byte{0}, "\x00", 2},
		{keyed{{}: true}, []byte{0}, "", 2},
	} {
		of := reflect.TypeOf(c.first)
		r := readerOf(t, encoded(t, c.first)[0], of)
		value := c.value
		for i := range levels {
			if i > 0 || of.Kind() == reflect.Struct {
				value = append(value, c.level...)
			}
			value = appendUint(value, (size-levels*8)/uint64(c.least))
		}
		message := sectionOf(r.last.id, append(value, make([]byte, size)...))
		var err error
		if got := allocated(func() { err = r.Decode(message, reflect.New(of).Interface()) }); got > 8*maxAhead || err == nil {
			t.Errorf("%s: %d bytes of which %d are sent take %d MiB of memory, error %v", of, len(message), len(value), got>>20, err)
		}
	}
}

// A peer may define a ring of types of which each holds all the others. Each of them
// would have a plan as large as the ring.
func TestGobPlan_RingOfTypes(t *testing.T) {
	const types = 1500
	var r Reader
	var message []byte
	for i := range types {
		definition := appendInt(nil, int64(-100-i))
		definition = append(definition, "\x03\x02\x01\x01\x01N\x01"...) // a struct with a field N
		definition = append(appendInt(definition, int64(100+(i+1)%types)), 0, 0, 0)
		message = append(append(message, byte(len(definition))), definition...)
	}
	type link struct {
		N *link
		M int
	}
	for i := range types {
		message = append(message, sectionOf(100+i, []byte{0})...)
		if err := r.Decode(message, new(link)); err != nil {
			t.Fatal(err)
		}
		message = nil
	}
	if r.converter.steps > maxSteps+types*2 {
		t.Errorf("%d steps", r.converter.steps)
	}
	kept := make(map[*plan]bool)
	for _, p := range r.plans {
		for p != nil && !kept[p] { // around the ring
			kept[p] = true
			p = p.fields[0].elem
		}
	}
	if len(kept) == 0 || len(kept) > maxSteps {
		t.Errorf("%d plans are kept", len(kept))
	}
}

type refusing struct{ calls *int }

func (f refusing) GobEncode() ([]byte, error) { *f.calls++; return nil, errors.New("no") }
func (*refusing) GobDecode([]byte) error      { return nil }

// After an error nothing is encoded any more.
func TestGobPlan_FirstError(t *testing.T) {
	type values struct {
		N   int
		All []refusing
		Map map[string]refusing
	}
	var w Writer
	data, err := w.Append(nil, &values{N: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Sent(data)
	calls := 0
	one := refusing{&calls}
	if _, err := w.Append(nil, &values{All: []refusing{one, one}, Map: map[string]refusing{"a": one, "b": one}}, 0); err == nil || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}
