package xclient

import (
	"errors"
	"net"
	"net/http"
	"time"

	"geerpc/internal/backoff"
)

const (
	// Between an answer and the next question there is a moment, and more if the
	// list goes on changing: a caller asks quickBurst times at most before it asks
	// once in pacedGap.
	watchGap   = 50 * time.Millisecond
	pacedGap   = 500 * time.Millisecond
	quickBurst = 20

	// renewAfter is how long a connection to a registry is kept. Behind its name
	// there may be another registry by then, while the old one lives on.
	renewAfter = time.Minute

	// minCut is after how much waiting a connection that is lost says nothing of
	// the registry: something between the two has a limit of its own.
	minCut = time.Second

	// longerAfter is after how many waits to the end a source is asked to wait for
	// longer again, where it had been cut off.
	longerAfter = 5

	// maxEarly is how many answers in a row that come early, with nothing new, mean
	// that a source can't be watched. One may be that a registry is stopping.
	maxEarly = 2

	// earlyPause is the longest pause then, whatever the Discovery's timeout.
	earlyPause = time.Minute
)

// A question is how a source is asked.
type question struct {
	index uint64        // known already, so that what has changed since is enough; 0: none
	wait  time.Duration // for which the answer is held back while that is the index
	last  bool          // on its connection
}

// A follower asks a source again and again.
type follower struct {
	*watch
	source *source
	client *http.Client

	watching bool // the last answer was good, and has an index to wait with
	plain    bool // it was an error: what is asked next is what anybody would answer
	failed   backoff.Backoff
	quick    pace
	wait     time.Duration // for which the source is asked to hold its answer back
	cuts     int           // in a row
	full     int           // waits to the end since f.wait was set
	early    int           // answers in a row that came early, with nothing new
	told     bool          // that answers can't be held back for as long as usual

	crowdedFor  time.Duration // the source takes no watch: ask without one, and then not for so long; 0: it may
	toldCrowded bool

	empty     bool      // the source lists nobody,
	emptied   bool      // and did list somebody before this answer
	connected time.Time // when the connection was made, or the one before was given up
}

// follow asks a source until the watch ends.
func (w *watch) follow(s *source) {
	f := follower{watch: w, source: s, client: w.d.asker(), wait: watchWait, connected: time.Now(), empty: true}
	w.d.state.Lock()
	pause := time.Until(s.notBefore)
	w.d.state.Unlock()
	for first := true; backoff.Sleep(w.ctx, pause); first = false {
		q := f.question()
		begin := time.Now()
		a, err := s.ask(w.ctx, f.client, q)
		took := time.Since(begin)
		if f.crowded(q, err, took) || f.cut(q, err, took) {
			pause = backoff.Jitter(watchGap)
			continue
		}
		before, noted := w.note(s, a, err, first)
		if noted {
			w.d.log(s, before, err)
		}
		pause = f.pause(q, a, err, took)
	}
}

// question returns how to ask next. An answer that has been told to have the
// last word on its connection is not waited for when the list has shrunk to
// nobody: the servers may be in the list of another registry of that name.
func (f *follower) question() question {
	d := f.d
	d.state.Lock()
	defer d.state.Unlock()
	q := question{index: f.source.index, last: f.empty && f.watching || time.Since(f.connected) > renewAfter}
	if f.watching && !f.emptied && f.crowdedFor == 0 {
		q.wait = f.wait
	}
	if f.plain {
		q.index = 0
	}
	if q.last {
		f.connected = time.Now()
	}
	return q
}

// cut tells whether an answer that was waited for did not come because of
// something on the way, such as a proxy. That is no news, but if it happens again
// the source is asked to wait less, for a while. An error of dialling cuts nothing
// off.
func (f *follower) cut(q question, err error, took time.Duration) bool {
	if lost := (*lostError)(nil); !errors.As(err, &lost) || took < minCut || took >= q.wait {
		return false
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	if f.cuts++; f.cuts > 1 {
		f.wait, f.full = max(minCut, took/5*4), 0
		if !f.told {
			f.told = true
			f.d.logCut(f.source, f.wait, err)
		}
	}
	return true
}

// crowded tells whether the source has too many watches to take this one. It is
// asked without waiting then, and whether it takes one when it has said to.
func (f *follower) crowded(q question, err error, took time.Duration) bool {
	crowded := (*crowdedError)(nil)
	if q.wait == 0 || took >= refreshLimit || !errors.As(err, &crowded) {
		return false
	}
	f.crowdedFor = crowded.after
	if !f.toldCrowded {
		f.toldCrowded = true
		f.d.logCrowded(f.source, crowded.after, err)
	}
	return true
}

// waited notes how a wait has ended that was answered.
func (f *follower) waited(q question, a answer, took time.Duration) {
	f.cuts = 0
	switch {
	case a.Index == q.index && took < q.wait/2:
		f.early++
		return
	case a.Index == q.index:
		f.full++
	}
	f.early = 0
	if f.full >= longerAfter {
		f.wait, f.full = min(2*f.wait, watchWait), 0
	}
}

// pause notes what has come of a question, and returns for how long to wait until
// the next.
func (f *follower) pause(q question, a answer, err error, took time.Duration) time.Duration {
	f.watching, f.plain = err == nil && a.Index != 0, err != nil
	crowdedFor := f.crowdedFor
	f.crowdedFor = 0
	if err != nil {
		f.early = 0
		return f.failed.Next(minPause, maxAskPause)
	}
	f.d.state.Lock()
	empty := len(f.source.servers) == 0
	f.d.state.Unlock()
	f.emptied, f.empty = empty && !f.empty, empty
	if q.wait > 0 {
		f.waited(q, a, took)
	}
	switch {
	case a.Index == 0: // it can't be watched,
		f.failed = 0
		return f.d.timeout
	case f.early >= maxEarly: // or whatever it says
		f.failed = 0
		return min(f.d.timeout, earlyPause)
	case q.wait > 0 && f.early > 0:
		return f.failed.Next(minPause, maxAskPause)
	case a.restarted(q.index): // or there are two behind one name, which take turns
		return f.failed.Next(minPause, maxAskPause)
	case q.wait > 0: // it can be watched
		f.failed = 0
	case crowdedFor > 0:
		return backoff.Vary(crowdedFor, 5)
	}
	return f.quick.next()
}

// A pace is how often something has been done of late.
type pace struct {
	left float64 // of quickBurst
	last time.Time
}

// next returns how long to wait until it is done again.
func (p *pace) next() time.Duration {
	now := time.Now()
	if p.last.IsZero() {
		p.left = quickBurst
	} else {
		p.left = min(p.left+float64(now.Sub(p.last))/float64(pacedGap), quickBurst)
	}
	p.last = now
	p.left = max(p.left-1, -1)
	if p.left < 0 {
		return backoff.Vary(pacedGap, 5)
	}
	return backoff.Jitter(watchGap)
}
