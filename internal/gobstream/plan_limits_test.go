package gobstream

import (
	"bytes"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"geerpc/internal/wire"
)

type chain struct {
	N    int
	Next *chain
}

func newChain(length int) (c *chain) {
	for n := range length {
		c = &chain{n, c}
	}
	return c
}

// A value of a type that holds itself may be as deep as the limit, and no deeper.
func TestGobPlan_Depth(t *testing.T) {
	var w Writer
	var r Reader
	var got chain
	for range 2 { // the first value is gob's
		data, err := w.Append(nil, newChain(maxDepth), 0)
		if err != nil {
			t.Fatal(err)
		}
		w.Sent(data)
		if err := r.Decode(data, &got); err != nil || !reflect.DeepEqual(&got, newChain(maxDepth)) {
			t.Fatalf("%v, or another value", err)
		}
	}
	if w.last.plan == nil || r.lastPlan == nil {
		t.Error("there is no plan")
	}
	itself := &chain{}
	itself.Next = itself
	for _, c := range []*chain{newChain(maxDepth + 1), itself} {
		if _, err := w.Append(nil, c, 0); !errors.Is(err, wire.ErrTooDeep) {
			t.Error(err)
		}
	}
	// A peer may send more.
	section := appendInt(nil, int64(w.last.id))
	section = append(section, bytes.Repeat([]byte{2}, maxReadDepth)...) // Next, without N
	section = append(section, make([]byte, maxReadDepth+1)...)          // the ends
	data := append(appendUint(nil, uint64(len(section))), section...)
	if err := r.Decode(data, new(chain)); !errors.Is(err, wire.ErrTooDeep) {
		t.Error(err)
	}
}

// A value that leads to the same part over and over is given up when it takes more room
// than there is.
func TestGobPlan_Room(t *testing.T) {
	type pair struct{ A, B *pair }
	var w Writer
	data, err := w.Append(nil, &pair{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Sent(data)
	p := &pair{}
	for range 100 {
		p = &pair{p, p}
	}
	if _, err := w.Append(make([]byte, 500), p, 1000); !errors.Is(err, wire.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := w.Append(make([]byte, 2000), &pair{A: &pair{}}, 1000); err != nil { // what is before it does not count
		t.Error(err)
	}
}

// A value that is not passed by a pointer is copied, and the copy is forgotten. Gob has
// those that can be encoded only by their address, and refuses them.
func TestGobPlan_ByValue(t *testing.T) {
	type parcel struct{ Text *string }
	var w Writer
	var data []byte
	var err error
	for range 2 {
		if data, err = w.Append(nil, parcel{ref("text")}, 0); err != nil {
			t.Fatal(err)
		}
		w.Sent(data)
	}
	if !w.last.copied.IsValid() || w.last.copied.Elem().Interface() != (parcel{}) {
		t.Errorf("the value is kept: %v", w.last.copied)
	}
	if data, err = w.Append(nil, [keepBuffer + 1]byte{}, 0); err != nil {
		t.Fatal(err)
	}
	w.Sent(data)
	w.Append(nil, [keepBuffer + 1]byte{}, 0)
	if w.last.copied.IsValid() {
		t.Error("the memory of a large copy is kept")
	}
	type amount struct{ N big.Int }
	if data, err = w.Append(nil, &amount{}, 0); err != nil {
		t.Fatal(err)
	}
	w.Sent(data)
	if _, err := w.Append(nil, amount{}, 0); err == nil || !strings.Contains(err.Error(), "unaddressable") {
		t.Error(err)
	}
}
