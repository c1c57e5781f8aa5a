package storm

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
)

// An outcome is what the caller of a call has learned.
type outcome uint8

const (
	waiting outcome = iota
	answered
	ranYes
	ranMaybe
	ranNever
)

// An entry is what is known of one call.
type entry struct {
	runs    int
	outcome outcome
	lax     bool // bits of it may have been flipped: nothing can be said
	begun   time.Time
	what    string
}

// A ledger has an entry for each call, which its caller and its method write,
// and counts what must not be. Entries are judged some time after their calls
// have ended, so that a method that runs late is noticed.
type ledger struct {
	calls, replies, failures, lost atomic.Int64 // lost: of those it is not known whether they ran

	mu       sync.Mutex // guards what follows
	next     uint64
	now, old map[uint64]*entry
	turned   time.Time // when now was begun
	faults   map[string]int
	examples []string
}

// keepEntries is how long an entry is kept at least. Every call and every method
// is over by then.
const keepEntries = 30 * time.Second

// patience is how long a call may take to return once its context has ended, or
// a Close to. The machine may be a busy one.
const patience = 20 * time.Second

func newLedger() *ledger {
	return &ledger{now: make(map[uint64]*entry), turned: time.Now(), faults: make(map[string]int)}
}

// begin opens an entry, before the call is made.
func (l *ledger) begin(what string, lax bool) (id uint64) {
	l.calls.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next++; lax != isLax(l.next) {
		l.next++
	}
	l.now[l.next] = &entry{begun: time.Now(), what: what, lax: lax}
	return l.next
}

// isLax tells whether bits of a call may have been flipped, by its number: its
// entry may be gone.
func isLax(id uint64) bool { return id%2 == 1 }

// run notes that a method runs for a call.
func (l *ledger) run(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.find(id)
	if e == nil {
		l.faultLocked("ran long after its caller had left", fmt.Sprintf("call %d, flipped %v", id, isLax(id)))
		return
	}
	if e.runs++; e.runs > 1 && !e.lax {
		l.faultLocked("twice", e.what)
	}
	if e.outcome == ranNever && !e.lax {
		l.faultLocked("never, and ran", e.what)
	}
}

func (l *ledger) find(id uint64) *entry {
	if e := l.now[id]; e != nil {
		return e
	}
	return l.old[id]
}

// end notes what the caller was told.
func (l *ledger) end(id uint64, o outcome, err error) {
	switch o {
	case answered:
		l.replies.Add(1)
	case ranMaybe:
		l.lost.Add(1)
	default:
		l.failures.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.find(id)
	switch {
	case e == nil:
		l.faultLocked("hung", fmt.Sprintf("call %d", id))
		return
	case e.lax:
	case o == ranNever && e.runs > 0:
		l.faultLocked("never, and ran", fmt.Sprintf("%s: %v", e.what, err))
	case (o == answered || o == ranYes) && e.runs == 0:
		l.faultLocked("answered, and did not run", fmt.Sprintf("%s: %v", e.what, err))
	}
	e.outcome = o
}

// wrong notes a reply that is not the call's.
func (l *ledger) wrong(what string) { l.fault("wrong reply", what) }

func (l *ledger) fault(kind, example string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faultLocked(kind, example)
}

func (l *ledger) faultLocked(kind, example string) {
	l.faults[kind]++
	if len(l.examples) < 20 {
		l.examples = append(l.examples, kind+": "+example)
	}
}

// sweep lets entries go that are old enough, and finds calls that hang.
func (l *ledger) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.turned) < keepEntries {
		return
	}
	for id, e := range l.old {
		if e.outcome == waiting {
			l.faultLocked("hung", fmt.Sprintf("call %d, begun %v ago: %s", id, now.Sub(e.begun), e.what))
		}
	}
	l.old, l.now, l.turned = l.now, make(map[uint64]*entry), now
}

// report returns a line of figures, and what must not be.
func (l *ledger) report() (line string, bad []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line = fmt.Sprintf("%d calls: %d replies, %d failures, %d of which it is not known", l.calls.Load(), l.replies.Load(), l.failures.Load(), l.lost.Load())
	for kind, n := range l.faults {
		bad = append(bad, fmt.Sprintf("%d × %s", n, kind))
	}
	return line, append(bad, l.examples...)
}

// outcomeOf returns what an error says.
func outcomeOf(err error) outcome {
	var e *geerpc.Error
	switch {
	case err == nil:
		return answered
	case !errors.As(err, &e):
		return ranMaybe
	case e.Ran == geerpc.RanNever:
		return ranNever
	case e.Ran == geerpc.RanYes:
		return ranYes
	}
	return ranMaybe
}
