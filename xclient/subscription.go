package xclient

import (
	"errors"
	"net"
	"net/http"
	"time"

	"geerpc/internal/backoff"
)

const (
	// watchGap is the pause between an answer and the next question. If the list goes
	// on changing, it is pacedGap after quickBurst questions.
	watchGap   = 50 * time.Millisecond
	pacedGap   = 500 * time.Millisecond
	quickBurst = 20

	// renewAfter is how long a connection to a registry is used. By then the name of
	// the registry may lead to another process, while the old one lives on.
	renewAfter = time.Minute

	// minCut: if a connection is lost after so long a wait, the registry is not to
	// blame. A proxy on the way has a limit of its own.
	minCut = time.Second

	// longerAfter is how many waits must last to the end before the next ones are made
	// longer again, after some were cut off.
	longerAfter = 5

	// maxEarly is how many early answers in a row, with nothing new, mean that a source
	// can't be watched. A single one may come from a registry that is stopping.
	maxEarly = 2

	// earlyPause is the longest pause between questions to such a source.
	earlyPause = time.Minute
)

// A question is one request to a source.
type question struct {
	index uint64        // of the list that we have, so that the changes since are enough; 0: none
	wait  time.Duration // how long the answer is held back while the index stays the same
	last  bool          // the last one on its connection
}

// A subscription asks a source for its list, again and again.
type subscription struct {
	*watch
	source *source
	client *http.Client

	watching   bool // the last answer was good, and has an index to watch
	afterError bool // the last answer was an error: ask the simplest question next
	backoff    backoff.Backoff
	pace       pace
	wait       time.Duration // how long the source is asked to hold its answer back
	cuts       int           // waits in a row that were cut off
	fullWaits  int           // waits that lasted to the end since wait was set
	early      int           // early answers in a row, with nothing new
	cutLogged  bool          // logCutOff was called

	overloadedFor  time.Duration // the source takes no watch: ask once without one, then pause so long; 0: it may take one
	overloadLogged bool

	empty     bool      // the source lists no servers
	emptied   bool      // the source listed some before its last answer, which lists none
	connected time.Time // when the connection was made, or the one before was closed
}

// subscribe asks a source until the watch ends.
func (w *watch) subscribe(s *source) {
	sub := subscription{watch: w, source: s, client: w.d.httpClient(), wait: watchWait, connected: time.Now(), empty: true}
	w.d.state.Lock()
	pause := time.Until(s.notBefore)
	w.d.state.Unlock()
	for first := true; backoff.Sleep(w.ctx, pause); first = false {
		q := sub.question()
		begin := time.Now()
		a, err := s.ask(w.ctx, sub.client, q)
		took := time.Since(begin)
		if sub.overloaded(q, err, took) || sub.cutOff(q, err, took) {
			pause = backoff.Jitter(watchGap)
			continue
		}
		before, noted := w.note(s, a, err, first)
		if noted {
			w.d.log(s, before, err)
		}
		pause = sub.pause(q, a, err, took)
	}
}

// question returns the next question. When the list has become empty it asks without
// waiting, and then on a new connection: the name may lead to another registry,
// which lists the servers.
func (sub *subscription) question() question {
	d := sub.d
	d.state.Lock()
	defer d.state.Unlock()
	q := question{index: sub.source.index, last: sub.empty && sub.watching || time.Since(sub.connected) > renewAfter}
	if sub.watching && !sub.emptied && sub.overloadedFor == 0 {
		q.wait = sub.wait
	}
	if sub.afterError {
		q.index = 0
	}
	if q.last {
		sub.connected = time.Now()
	}
	return q
}

// cutOff reports whether something on the way, such as a proxy, has cut off a wait.
// That says nothing about the source, but if it happens again, the next waits are
// shorter for a while. A dial that failed is no cut.
func (sub *subscription) cutOff(q question, err error, took time.Duration) bool {
	if lost := (*lostError)(nil); !errors.As(err, &lost) || took < minCut || took >= q.wait {
		return false
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	if sub.cuts++; sub.cuts > 1 {
		sub.wait, sub.fullWaits = max(minCut, took/5*4), 0
		if !sub.cutLogged {
			sub.cutLogged = true
			sub.d.logCutOff(sub.source, sub.wait, err)
		}
	}
	return true
}

// overloaded reports whether the source has too many watches to take this one. Then
// it is asked without waiting, and to take a watch again after the time that it gave.
func (sub *subscription) overloaded(q question, err error, took time.Duration) bool {
	overload := (*overloadedError)(nil)
	if q.wait == 0 || took >= refreshLimit || !errors.As(err, &overload) {
		return false
	}
	sub.overloadedFor = overload.after
	if !sub.overloadLogged {
		sub.overloadLogged = true
		sub.d.logOverloaded(sub.source, overload.after, err)
	}
	return true
}

// waited notes how a wait ended that was answered.
func (sub *subscription) waited(q question, a answer, took time.Duration) {
	sub.cuts = 0
	switch {
	case a.Index == q.index && took < q.wait/2:
		sub.early++
		return
	case a.Index == q.index:
		sub.fullWaits++
	}
	sub.early = 0
	if sub.fullWaits >= longerAfter {
		sub.wait, sub.fullWaits = min(2*sub.wait, watchWait), 0
	}
}

// pause notes the answer to a question, and returns the pause before the next.
func (sub *subscription) pause(q question, a answer, err error, took time.Duration) time.Duration {
	sub.watching, sub.afterError = err == nil && a.Index != 0, err != nil
	overloadedFor := sub.overloadedFor
	sub.overloadedFor = 0
	if err != nil {
		sub.early = 0
		return sub.backoff.Next(minPause, maxAskPause)
	}
	sub.d.state.Lock()
	empty := len(sub.source.servers) == 0
	sub.d.state.Unlock()
	sub.emptied, sub.empty = empty && !sub.empty, empty
	if q.wait > 0 {
		sub.waited(q, a, took)
	}
	switch {
	case a.Index == 0: // the source can't be watched
		sub.backoff = 0
		return sub.d.timeout
	case sub.early >= maxEarly: // it can't be watched, though it has an index
		sub.backoff = 0
		return min(sub.d.timeout, earlyPause)
	case q.wait > 0 && sub.early > 0:
		return sub.backoff.Next(minPause, maxAskPause)
	case a.restarted(q.index): // or two registries behind one name answer in turns
		return sub.backoff.Next(minPause, maxAskPause)
	case q.wait > 0:
		sub.backoff = 0
	case overloadedFor > 0:
		return backoff.Vary(overloadedFor, 5)
	}
	return sub.pace.next()
}

// A pace limits how often a source is asked.
type pace struct {
	burst float64 // questions that may follow at once
	last  time.Time
}

// next returns the pause before the next question.
func (p *pace) next() time.Duration {
	now := time.Now()
	if p.last.IsZero() {
		p.burst = quickBurst
	} else {
		p.burst = min(p.burst+float64(now.Sub(p.last))/float64(pacedGap), quickBurst)
	}
	p.last = now
	p.burst = max(p.burst-1, -1)
	if p.burst < 0 {
		return backoff.Vary(pacedGap, 5)
	}
	return backoff.Jitter(watchGap)
}
