package middleware

import (
	"context"
	"crypto/sha256"
	"net"
	"net/netip"

	"geerpc"
)

// A Key tells which calls share a limit: those for which it returns the same
// string. On a server it may look at the call's peer and metadata. It must not
// keep ctx. Keys that are longer than 64 bytes are kept as hashes.
//
// A caller that can make up keys has as many limits as it likes, so a key should be
// something that costs its owner more than a string.
type Key func(ctx context.Context, serviceMethod string) string

// ByMethod is a Key by which each method has a limit of its own. On a server all
// methods that do not exist are one, geerpc.UnknownMethod.
func ByMethod(_ context.Context, serviceMethod string) string { return serviceMethod }

// ByPeer is a Key by which each host that calls has a limit of its own, whatever
// ports and connections it uses. Of an IPv6 address the first 64 bits count,
// because one host often has all addresses that begin with them. Calls without a
// peer, such as those that a client makes, are one.
func ByPeer(ctx context.Context, _ string) string {
	peer, _ := geerpc.PeerFrom(ctx)
	return hostOf(peer.Addr)
}

func hostOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return networkOf(tcp.AddrPort().Addr())
	}
	text := addr.String()
	host, _, err := net.SplitHostPort(text)
	if err != nil {
		return text
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return networkOf(ip)
	}
	return host
}

func networkOf(addr netip.Addr) string {
	addr = addr.Unmap()
	if addr.Is4() || !addr.IsValid() {
		return addr.String()
	}
	network, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}

// of returns a call's key, the same for all calls if there is no Key.
func (k Key) of(ctx context.Context, serviceMethod string) string {
	if k == nil {
		return ""
	}
	key := k(ctx, serviceMethod)
	if len(key) > maxKeyBytes {
		sum := sha256.Sum256([]byte(key))
		key = string(sum[:])
	}
	return key
}

const (
	maxKeyBytes = 64

	// DefaultMaxKeys is how many keys a middleware remembers unless told otherwise.
	DefaultMaxKeys = 1 << 16
)

// A keyed has a state for each key, at most max of them. They are in a list, the
// latest used first, unless they are pinned.
type keyed[T any] struct {
	max     int
	entries map[string]*entry[T]
	list    entry[T] // its newer is the oldest entry, its older the newest
}

// An entry is the state of one key. The calls that have it may use it after it
// was forgotten.
type entry[T any] struct {
	key          string
	state        T
	older, newer *entry[T]
}

// get returns the entry of a key, and whether it is a new one. Before it adds
// one it forgets up to two of the oldest that are idle. At the maximum it
// forgets the oldest, idle or not. If it was pinned, it is not any more.
func (k *keyed[T]) get(key string, idle func(*T) bool) (e *entry[T], isNew bool) {
	if e := k.entries[key]; e != nil {
		k.unlink(e)
		k.link(e)
		return e, false
	}
	if k.entries == nil {
		k.entries = make(map[string]*entry[T])
		k.list.older, k.list.newer = &k.list, &k.list
	}
	for range 2 {
		if oldest := k.list.newer; oldest != &k.list && idle(&oldest.state) {
			k.forget(oldest)
		}
	}
	if len(k.entries) >= k.limit() {
		k.forget(k.list.newer)
	}
	e = &entry[T]{key: key}
	k.entries[key] = e
	k.link(e)
	return e, true
}

func (k *keyed[T]) limit() int {
	if k.max <= 0 {
		return DefaultMaxKeys
	}
	return k.max
}

func (k *keyed[T]) forget(e *entry[T]) {
	delete(k.entries, e.key)
	k.unlink(e)
}

func (k *keyed[T]) link(e *entry[T]) {
	e.newer, e.older = &k.list, k.list.older
	e.older.newer, e.newer.older = e, e
}

func (k *keyed[T]) unlink(e *entry[T]) {
	e.older.newer, e.newer.older = e.newer, e.older
}

// pin keeps an entry from being forgotten until unpin. It may be pinned already.
func (k *keyed[T]) pin(e *entry[T]) {
	k.unlink(e)
	e.older, e.newer = e, e
}

// unpin makes an entry the newest, which may be forgotten.
func (k *keyed[T]) unpin(e *entry[T]) {
	k.unlink(e)
	k.link(e)
}

// hasRoom reports whether a key has an entry, or may get one: not if there are too
// many, all of them pinned.
func (k *keyed[T]) hasRoom(key string) bool {
	return k.entries[key] != nil || len(k.entries) < k.limit() || k.list.newer != &k.list
}
