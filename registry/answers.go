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
	// maxListAge is how old the times of the last beats may be.
	maxListAge = time.Second

	// Lists that are being read stay in memory, and a reader that doesn't read
	// keeps one. If a new one would be too much, the latest is told for a while,
	// and then the readers of the oldest are cut off.
	maxAnswerBytes = 32 << 20
	minAnswerTime  = 10 * time.Second

	// maxDelta limits the changes that are told as such, for the same reason. The
	// answer fits into a connection's buffers.
	maxDelta = 128 << 10

	// maxDeltas limits those of them that are kept for others who ask: who has been
	// cut off for a while asks for changes since a time of its own.
	maxDeltas = 4 << 20

	minDelta = 16 // changes that are told as such, however short the list
)

var errPages = errors.New("rpc registry: too many pages are being read")

// answers are what readers get, made once for all who ask. The zero value is
// ready.
type answers struct {
	mu     sync.Mutex        // guards what follows; held while an answer is made
	lists  []*fullList       // the latest is the last; the others are being read
	deltas map[uint64][]byte // by the index that they begin with; nil: too much
	sum    int               // of their bytes
	to     uint64            // the index that they lead to
}

// A fullList is all servers at one time, in the forms that programs ask for.
type fullList struct {
	made   time.Time
	index  uint64
	object []byte // JSON
	addrs  string // with commas

	readers map[*http.ResponseController]bool // guarded by answers.mu
}

func (l *fullList) size() int { return len(l.object) + len(l.addrs) }

// take returns the list for a reader, who calls leave when he has it. It is the
// list of now, and with fresh the times of the last beats are no older than a
// second; but while there are too many answers that nobody reads, it may be
// minAnswerTime old.
func (r *GeeRegistry) take(reader *http.ResponseController, fresh bool) *fullList {
	r.mu.Lock()
	index, size := r.watch.indexLocked(), r.bytes
	r.mu.Unlock()
	a := &r.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.latest()
	if l == nil || l.index < index || fresh && time.Since(l.made) > maxListAge {
		if l == nil || a.reading()+size <= maxAnswerBytes || time.Since(l.made) >= minAnswerTime {
			a.makeRoom(size)
			l = makeList(r.copy())
			a.lists = append(a.lists, l)
		}
	}
	l.readers[reader] = true
	return l
}

// leave ends what take began. The reader must not be used any more by others
// when the handler of its request has returned.
func (a *answers) leave(reader *http.ResponseController, l *fullList) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(l.readers, reader)
	latest := a.latest()
	a.lists = slices.DeleteFunc(a.lists, func(l *fullList) bool { return l != latest && len(l.readers) == 0 })
}

func (a *answers) latest() *fullList {
	if len(a.lists) == 0 {
		return nil
	}
	return a.lists[len(a.lists)-1]
}

// reading returns how many bytes are being read.
func (a *answers) reading() (sum int) {
	for _, l := range a.lists {
		if len(l.readers) > 0 {
			sum += l.size()
		}
	}
	return sum
}

// makeRoom cuts off readers, those of the oldest list first, until there is room
// for another one, and forgets what nobody reads.
func (a *answers) makeRoom(size int) {
	for _, l := range a.lists {
		if a.reading()+size <= maxAnswerBytes {
			break
		}
		for reader := range l.readers {
			reader.SetWriteDeadline(time.Unix(1, 0))
		}
		clear(l.readers)
	}
	a.lists = slices.DeleteFunc(a.lists, func(l *fullList) bool { return len(l.readers) == 0 })
}

// makeList returns the list in all its forms.
func makeList(servers []ServerItem, index uint64) *fullList {
	addrs := make([]string, len(servers))
	for i, s := range servers {
		addrs[i] = s.Addr
	}
	return &fullList{
		made:    time.Now(),
		index:   index,
		object:  encode(answer{Index: index, Servers: servers}),
		addrs:   strings.Join(addrs, ","),
		readers: make(map[*http.ResponseController]bool),
	}
}

// An answer is the list, or what has changed.
type answer = registryapi.List[ServerItem]

// encode returns an answer as JSON: strings, numbers and times, so it can't fail.
// It makes no second copy, as json.Marshal does.
func encode(a answer) []byte {
	size := 128
	for i := range a.Servers {
		size += a.Servers[i].bytes
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

// changes returns what has changed since an index, as JSON, and the index to
// which that leads; nil if that is not known, or so much that the list is told
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
	a.forget(delta.Index)
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

// forget lets go of the changes that lead to another index than that of now. mu
// is held.
func (a *answers) forget(now uint64) {
	if a.to != now {
		a.deltas, a.sum = nil, 0
	}
}

// delta returns what has changed since an index, if that is known. If it is so
// much that the list is told instead, Since is zero, and nothing has been copied.
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
			bytes += s.bytes
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
