package gobstream

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"geerpc/internal/wire"
)

// FuzzDefinitions checks that gob accepts every definition that the schema accepts. The
// Reader feeds them to gob late, when it is too late to end the stream.
func FuzzDefinitions(f *testing.F) {
	for _, v := range []any{plainValue{}, newZoo(), map[string]zooInner{}, [2]any{1, "one"}} {
		f.Add(encoded(f, v)[0])
	}
	const ids = math.MaxInt32 // gob knows no more
	for _, id := range []int64{firstDefinedID, ids, ids + 1, -1, math.MinInt64} {
		f.Add(sliceDefinition(id, id, intID))
		f.Add(sliceDefinition(firstDefinedID, id, intID))
		f.Add(sliceDefinition(firstDefinedID, firstDefinedID, id))
	}
	end := encoded(f, 1)[0] // a value that needs no definition
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Reader
		r.LimitDefinitions(1 << 16)
		stream := complete(append(bytes.Clone(data), end...))
		for off := 0; off < len(stream); {
			v, err := r.Scan(&stream, off, 0)
			if err != nil {
				break
			}
			off = v.end
		}
		if len(r.definitions) == 0 {
			return
		}
		if err := r.feed(r.definitions, new(struct{})); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("gob says of %x: %v", r.definitions, err)
		}
	})
}

// sliceDefinition defines a slice type.
func sliceDefinition(id, own, elem int64) []byte {
	d := appendInt(nil, -id)
	d = append(d, 2, 1, 2) // SliceT, CommonType, Id
	d = appendInt(d, own)
	d = append(d, 0, 1) // Elem
	d = appendInt(d, elem)
	d = append(d, 0, 0)
	return append(appendUint(nil, uint64(len(d))), d...)
}

// A definition that the schema accepts and gob does not, of which none is known, makes
// every value fail that gob is to decode, for the same reason.
func TestReader_DefinitionRefusedByGob(t *testing.T) {
	r := Reader{definitions: append(sliceDefinition(firstDefinedID, firstDefinedID, intID), sliceDefinition(1, 1, intID)...)}
	for range 2 {
		var v any
		err := r.decode(encoded(t, 1)[0], &v)
		if !errors.Is(err, wire.ErrCorrupt) || !strings.Contains(err.Error(), "duplicate type") {
			t.Error(err)
		}
		if len(r.definitions) > 0 {
			t.Error("they are fed to gob again")
		}
	}
}
