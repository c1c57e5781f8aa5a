package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"geerpc/internal/registryapi"
)

const (
	// maxListAge is how old the LastBeat times in a list may be.
	maxListAge = time.Second

	// Lists that are being sent stay in memory, and a reader that stalls keeps one
	// there. If a new list would be too much, readers get the latest one for
	// minAnswerTime; after that, the readers of the oldest are cut off.
	maxAnswerBytes = 32 << 20
	minAnswerTime  = 10 * time.Second

	// maxDelta limits the changes that are sent as such, for the same reason. Such an
	// answer fits into a connection's buffers.
	maxDelta = 128 << 10

	// maxDeltas limits the changes that are kept for other readers. Each reader that
	// was cut off for a while asks for changes since another index.
	maxDeltas = 4 << 20

	minDelta = 16 // servers that are always few enough, however short the list
)

var errPages = errors.New("rpc registry: too many pages are being read")

// answers are the lists and changes in the forms in which readers get them, each
// made once for all readers. The zero value is ready.
type answers struct {
	mu     sync.Mutex        // guards what follows; held while an answer is made
	lists  []*cachedList     // the latest is the last; the others are being sent
	deltas map[uint64][]byte // changes in JSON, by the index since which; nil: too much
	sum    int               // of the bytes of deltas
	to     uint64            // the index of the list after deltas
}

// A cachedList is all servers at one time, in the forms that programs ask for.
type cachedList struct {
	made   time.Time
	index  uint64
	object []byte // JSON
	addrs  string // separated by commas

	readers map[*http.ResponseController]bool // guarded by answers.mu
}

func (l *cachedList) size() int { return len(l.object) + len(l.addrs) }

// acquireList returns the list for a reader; release ends that. It is the current
// list and, with fresh, its LastBeat times are at most maxListAge old. But while
// stalled readers keep too many lists, it may be up to minAnswerTime old.
func (r *GeeRegistry) acquireList(reader *http.ResponseController, fresh bool) *cachedList {
	r.mu.Lock()
	index, size := r.watch.indexLocked(), r.jsonBytes
	r.mu.Unlock()
	a := &r.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.latest()
	if l == nil || l.index < index || fresh && time.Since(l.made) > maxListAge {
		if l == nil || a.bytesInUse()+size <= maxAnswerBytes || time.Since(l.made) >= minAnswerTime {
			a.makeRoom(size)
			l = newCachedList(r.snapshot())
			a.lists = append(a.lists, l)
		}
	}
	l.readers[reader] = true
	return l
}

// release ends what acquireList began. It must be called before the handler of the
// request returns: after that, nobody may set the reader's deadline.
func (a *answers) release(reader *http.ResponseController, l *cachedList) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(l.readers, reader)
	latest := a.latest()
	a.lists = slices.DeleteFunc(a.lists, func(l *cachedList) bool { return l != latest && len(l.readers) == 0 })
}

func (a *answers) latest() *cachedList {
	if len(a.lists) == 0 {
		return nil
	}
	return a.lists[len(a.lists)-1]
}

// bytesInUse returns the bytes of the lists that are being sent.
func (a *answers) bytesInUse() (sum int) {
	for _, l := range a.lists {
		if len(l.readers) > 0 {
			sum += l.size()
		}
	}
	return sum
}

// makeRoom cuts off readers, those of the oldest list first, until there is room
// for another list, and drops the lists without readers.
func (a *answers) makeRoom(size int) {
	for _, l := range a.lists {
		if a.bytesInUse()+size <= maxAnswerBytes {
			break
		}
		for reader := range l.readers {
			reader.SetWriteDeadline(time.Unix(1, 0))
		}
		clear(l.readers)
	}
	a.lists = slices.DeleteFunc(a.lists, func(l *cachedList) bool { return len(l.readers) == 0 })
}

// newCachedList returns a list in all its forms.
func newCachedList(servers []ServerItem, index uint64) *cachedList {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr
	}
	return &cachedList{
		made:    time.Now(),
		index:   index,
		object:  encode(answer{Index: index, Servers: servers}),
		addrs:   strings.Join(addrs, ","),
		readers: make(map[*http.ResponseController]bool),
	}
}

// An answer is the list, or what has changed.
type answer = registryapi.List[ServerItem]

// encode returns an answer in JSON. It can't fail, because there are only strings,
// numbers and times. Unlike json.Marshal it makes no second copy.
func encode(a answer) []byte {
	size := 128
	for i := range a.Servers {
		size += a.Servers[i].jsonBytes
	}
	for _, addr := range a.Gone {
		size += len(addr) + 8
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	all := a.Servers
	a.Servers = []ServerItem{}
	e := json.NewEncoder(b)
	e.Encode(a)
	b.Truncate(b.Len() - len("]}\n"))
	for i := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		e.Encode(&all[i])
		b.Truncate(b.Len() - len("\n"))
	}
	b.WriteString("]}")
	return b.Bytes()
}

// changes returns what has changed since an index, in JSON, and the index of the
// list after that; nil if it is not known, or so much that the reader gets the list
// instead.
func (r *GeeRegistry) changes(since uint64) ([]byte, uint64) {
	a := &r.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if text, there := a.deltas[since]; there && a.to == r.index() {
		return text, a.to
	}
	delta, known := r.delta(since)
	if !known {
		return nil, 0
	}
	a.dropOldChanges(delta.Index)
	if a.deltas == nil {
		a.to, a.deltas = delta.Index, make(map[uint64][]byte)
	}
	var text []byte
	if delta.Since != 0 {
		text = encode(delta)
	}
	if a.sum+len(text) <= maxDeltas {
		a.deltas[since] = text
		a.sum += len(text)
	}
	return text, delta.Index
}

// dropOldChanges drops the changes, unless they lead to the current index. mu is
// held.
func (a *answers) dropOldChanges(now uint64) {
	if a.to != now {
		a.deltas, a.sum = nil, 0
	}
}

// delta returns what has changed since an index, if that is known. If it is so much
// that the reader gets the list instead, Since is 0 and no server is copied.
func (r *GeeRegistry) delta(since uint64) (delta answer, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := answer{Index: r.watch.indexLocked()}
	addrs, known := r.watch.sinceLocked(since)
	if !known {
		return a, false
	}
	addrs = slices.Clone(addrs)
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	listed, bytes := 0, 0
	for _, addr := range addrs {
		bytes += len(addr) + len(`"",`)
		if s := r.servers[addr]; s != nil {
			bytes += s.jsonBytes
			listed++
		}
	}
	if bytes > maxDelta || 2*listed > len(r.servers)+minDelta {
		return a, true
	}
	a.Since = since
	for _, addr := range addrs {
		if s := r.servers[addr]; s != nil {
			a.Servers = append(a.Servers, *s)
		} else {
			a.Gone = append(a.Gone, addr)
		}
	}
	return a, true
}
