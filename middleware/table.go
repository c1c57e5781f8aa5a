package middleware

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A table has a bounded number of entries, which are never removed, and one for
// all that it has no room for. It is copied to add one, so that finding one takes
// no lock.
type table[K comparable, V any] struct {
	max      int // entries, beside that of otherKey
	otherKey K
	entries  atomic.Pointer[map[K]*V]
	mu       sync.Mutex // for adding
}

func (t *table[K, V]) all() map[K]*V {
	if entries := t.entries.Load(); entries != nil {
		return *entries
	}
	return nil
}

func (t *table[K, V]) find(key K) *V { return t.all()[key] }

// add returns the entry of a key, a new one if need be, or nil if there are too
// many.
func (t *table[K, V]) add(key K) *V {
	if t.full() {
		return t.find(key)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full() {
		return t.find(key)
	}
	return t.addLocked(key)
}

func (t *table[K, V]) full() bool {
	entries := t.all()
	n := len(entries)
	if entries[t.otherKey] != nil {
		n--
	}
	return n >= t.max
}

// other returns the entry for all that the table has no room for.
func (t *table[K, V]) other() *V {
	if v := t.find(t.otherKey); v != nil {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.addLocked(t.otherKey)
}

func (t *table[K, V]) addLocked(key K) *V {
	before := t.all()
	if v := before[key]; v != nil {
		return v
	}
	entries := make(map[K]*V, len(before)+1)
	maps.Copy(entries, before)
	v := new(V)
	entries[key] = v
	t.entries.Store(&entries)
	return v
}
