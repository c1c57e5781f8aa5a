package codec_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"geerpc/codec"
)

// Gob made by hand, because no encoder would write it.

func gobUint(x uint64) []byte {
	if x < 128 {
		return []byte{byte(x)}
	}
	b := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, x), "\x00")
	return append([]byte{byte(-len(b))}, b...)
}

func gobInt(x int64) []byte { return gobUint(uint64(x<<1) ^ uint64(x>>63)) }

func gobName(s string) []byte { return append(gobUint(uint64(len(s))), s...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func section(parts ...[]byte) []byte {
	b := join(parts...)
	return append(gobUint(uint64(len(b))), b...)
}

// define returns the definition of a type, without its name. Kind is a number in
// gob's wireType.
func define(id int64, kind byte, fields ...[]byte) []byte {
	return join(gobInt(-id), []byte{kind, 1, 2}, gobInt(id), []byte{0}, join(fields...), []byte{0, 0})
}

func field(name string, id int64) []byte {
	return join([]byte{1}, gobName(name), []byte{1}, gobInt(id), []byte{0})
}

func part(id int64) []byte { return append([]byte{1}, gobInt(id)...) }

func gobStruct(id int64, fields ...[]byte) []byte {
	return define(id, 3, append([][]byte{{1, byte(len(fields))}}, fields...)...)
}

func gobSlice(id, elem int64) []byte    { return define(id, 2, part(elem)) }
func gobMap(id, key, elem int64) []byte { return define(id, 4, part(key), part(elem)) }

const (
	intID, uintID, stringID, anyID   = 2, 3, 6, 8
	headerID, bodyID, partID, leafID = 64, 65, 66, 67
	firstID                          = 100 // of those without end
)

// A forger puts bodies made by hand into messages.
type forger struct {
	layout
	defined bool
}

func (f *forger) message(t *testing.T, body []byte) []byte {
	if f.name == "gob framed" {
		w := layout{"", newRawCodec}.writer(0)
		send(t, w, body)
		return w.out.Bytes()
	}
	header := section(gobInt(headerID), []byte{1}, gobName("Service.Method"), []byte{1, 7, 0})
	if !f.defined {
		f.defined = true
		header = join(section(gobStruct(headerID, field("ServiceMethod", stringID), field("Seq", uintID), field("Error", stringID))), header)
	}
	return append(header, body...)
}

type (
	node struct{ Next *node }
	maps struct{ M map[int64]int64 }
	nest struct{ M map[string]nest }
	ints struct{ S []int64 }
)

func newOf[T any]() any { return new(T) }

// TestB12_GobBombs decodes short messages that announce large values, and deep
// ones.
func TestB12_GobBombs(t *testing.T) {
	const mib = 1 << 20
	boxType := section(gobStruct(bodyID, field("Any", anyID)))
	boxName := gobName("geerpc/codec_test.box")
	mapTypes := join(section(gobMap(partID, intID, intID)), section(gobStruct(bodyID, field("M", partID))))
	nestTypes := join(section(gobMap(partID, stringID, bodyID)), section(gobStruct(bodyID, field("M", partID))))
	sliceTypes := join(section(gobSlice(partID, intID)), section(gobStruct(bodyID, field("S", partID))))
	body := gobInt(bodyID)
	// Each level announces more bytes than there are; gob does not check that.
	boxed := bytes.Repeat(join(boxName, body, gobUint(9<<20), []byte{1}), 100_000)
	nested := bytes.Repeat([]byte{1}, 4*mib)
	tests := []struct {
		name   string
		body   []byte
		target func() any
		limit  int // bytes to be allocated beside those of the message
	}{
		{"map of 2²⁴ entries", join(mapTypes, section(body, []byte{1}, gobUint(1<<24), []byte{2, 2, 0})), newOf[maps], mib},
		{"map of 2⁶² entries", join(mapTypes, section(body, []byte{1}, gobUint(1<<62), []byte{2, 2, 0})), newOf[maps], mib},
		{"map at the top", join(mapTypes, section(gobInt(partID), []byte{0}, gobUint(1<<24), []byte{2, 2})), newOf[map[int64]int64], mib},
		{"map in a map", join(nestTypes, section(body, []byte{1, 1, 0, 1}, gobUint(1<<24), []byte{0, 0, 0})), newOf[nest], mib},
		{"map in an interface", join(boxType, section(gobStruct(leafID, field("N", intID))), section(gobMap(partID, stringID, leafID)),
			section(body, []byte{1}, gobName("map[string]codec_test.leaf"), gobInt(partID), []byte{5, 0}, gobUint(1<<24), []byte{0})), newOf[box], mib},
		{"string of 1 GiB", join(section(gobStruct(bodyID, field("T", stringID))), section(body, []byte{1}, gobUint(1<<30), []byte{2, 0})), newOf[leaf3], mib},
		// Gob itself allocates 10 MiB before it looks.
		{"slice of 2²⁴ integers", join(sliceTypes, section(body, []byte{1}, gobUint(1<<24), []byte{2, 0})), newOf[ints], 12 * mib},
		{"slice of 2⁴⁰ integers", join(sliceTypes, section(body, []byte{1}, gobUint(1<<40), []byte{2, 0})), newOf[ints], 12 * mib},
		// A decoder would need more stack than a process may have.
		{"nested structs", join(section(gobStruct(bodyID, field("Next", bodyID))), section(body, nested)), newOf[node], mib},
		{"nested interfaces", join(boxType, section(body, []byte{1}, boxed)), newOf[box], 16 * mib},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			each(t, gobLayouts, func(t *testing.T, l layout) {
				stream := (&forger{layout: l}).message(t, test.body)
				c := l.reader(bytes.NewReader(stream), 16*mib)
				var err error
				n := allocated(func() {
					readHeader(t, c)
					err = c.ReadBody(test.target())
				}) - 6*len(stream) // a buffer that grew, gob's own, and what was walked
				if err == nil {
					t.Error("no error")
				}
				if n > test.limit {
					t.Errorf("allocated %d bytes for a message of %d: %v", n, len(stream), err)
				}
			})
		})
	}
}

// TestB12_Definitions sends type definitions without end, at the top of
// messages or inside the interfaces in them.
func TestB12_Definitions(t *testing.T) {
	bodies := map[string]func(first int64) []byte{
		"at the top": func(first int64) (b []byte) {
			for id := first; id < first+50; id++ {
				b = append(b, section(gobSlice(id, intID))...)
			}
			return append(b, section(gobInt(intID), []byte{0, 2})...)
		},
		"in a value": func(first int64) (b []byte) {
			if first == firstID {
				b = section(gobStruct(bodyID, field("Any", anyID)))
			}
			b = append(b, section(gobInt(bodyID), []byte{1}, gobName("int"), gobSlice(first, intID))...)
			for id := first + 1; id < first+50; id++ {
				b = append(b, section(gobSlice(id, intID))...)
			}
			return append(b, section(gobInt(intID), []byte{2, 0, 2, 0})...)
		},
		"in a part of a value": func(first int64) (b []byte) {
			if first == firstID {
				b = section(gobStruct(bodyID, field("Any", anyID)))
			}
			var parts []byte
			for id := first; id < first+50; id++ {
				parts = append(parts, join(gobSlice(id, intID), []byte{1})...)
			}
			return append(b, section(gobInt(bodyID), []byte{1}, gobName("int"), parts, gobInt(intID), []byte{2, 0, 2, 0})...)
		},
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			each(t, gobLayouts, func(t *testing.T, l layout) { floodDefinitions(t, l, body) })
		})
	}
}

// TestB12_LongDefinition defines one type, of as many fields as the message has
// bytes. It is refused before its fields are allocated.
func TestB12_LongDefinition(t *testing.T) {
	const n = 4 << 20
	definition := section(define(bodyID, 3, []byte{1}, gobUint(n), make([]byte, n)))
	each(t, gobLayouts, func(t *testing.T, l layout) {
		stream := (&forger{layout: l}).message(t, definition)
		c := l.reader(bytes.NewReader(stream), 2*n)
		allocated := allocated(func() {
			err := c.ReadHeader(new(codec.Header))
			if err == nil {
				err = c.ReadBody(new(leaf3))
			}
			wantIs(t, err, codec.ErrTooLarge)
		})
		if allocated > 6*n { // a buffer that grew
			t.Errorf("allocated %d bytes for a message of %d", allocated, len(stream))
		}
	})
}

func floodDefinitions(t *testing.T, l layout, body func(first int64) []byte) {
	conn := new(tape)
	c := l.open(conn)
	f := forger{layout: l}
	for i := range int64(1000) {
		conn.Write(f.message(t, body(firstID+50*i)))
		err := c.ReadHeader(new(codec.Header))
		if err == nil && i%2 == 0 {
			err = c.ReadBody(nil)
		} else if err == nil {
			err = c.ReadBody(new(int))
			if !errors.Is(err, codec.ErrTooLarge) {
				err = nil // a box is no int
			}
		}
		if errors.Is(err, codec.ErrTooLarge) {
			if i < 20 {
				t.Errorf("refused after %d messages: %v", i, err)
			}
			if c.ReadHeader(new(codec.Header)) == nil {
				t.Error("and the stream went on")
			}
			return
		}
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	t.Error("50,000 types were defined")
}
