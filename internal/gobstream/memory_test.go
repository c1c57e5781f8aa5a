package gobstream

import (
	"runtime"
	"strings"
	"testing"
)

// TestC122_GobKeepsNoLargeMessage measures what both ends of a gob stream keep
// when a large value has passed: gob's encoder and decoder have buffers of
// their own.
func TestC122_GobKeepsNoLargeMessage(t *testing.T) {
	const streams, size = 20, 1 << 20
	type value struct{ Any any }
	type stream struct {
		Writer
		Reader
	}
	var all []*stream
	before := live()
	for range streams {
		s := new(stream)
		for _, size := range []int{10, size} {
			message, err := s.Append(nil, value{strings.Repeat("x", size)}, 0)
			if err != nil {
				t.Fatal(err)
			}
			s.Sent(message)
			var got value
			if err := s.Decode(message, &got); err != nil || len(got.Any.(string)) != size {
				t.Fatalf("the value has changed, %v", err)
			}
		}
		all = append(all, s)
	}
	if kept := (live() - before) / streams; kept > size/20 {
		t.Errorf("a stream keeps %d bytes after a value of %d", kept, size)
	}
	runtime.KeepAlive(all)
}

// live returns how many bytes are in use.
func live() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
