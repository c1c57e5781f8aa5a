// Package readturn is the right to read a connection. Its owner, a goroutine that reads
// whatever comes, lends it to goroutines that wait for one message each:
//
//	        Lend             Borrow
//	owned ────────→ on loan ────────→ borrowed ────→ wanted
//	  ↑               │ ↑               │  │           │
//	  ├─── Recall ────┘ └─── GiveBack ──┘  │           │
//	  └──────────────── HandOver ──────────┴───────────┘
//
// The owner looks every now and then what has become of a turn on loan. It takes the turn
// back if nobody has borrowed it since the look before, and interrupts a borrower who has
// read for as long as that. So a message that nobody asked for waits for two looks at
// most, and so does a borrower who reads in vain.
package readturn

import (
	"sync/atomic"
	"time"
)

// Look is how long the owner waits before it looks again.
const Look = time.Millisecond

// A Turn belongs to its owner at first. What it guards belongs to the owner but from Lend
// until Await returns, and to a borrower from Borrow until GiveBack or HandOver.
type Turn struct {
	missed func() bool
	state  atomic.Uint64 // who has it; above that, how often it has been borrowed
	back   chan struct{} // capacity 1: the owner has it again
}

const (
	owned    = iota
	onLoan   // nobody has it
	borrowed // somebody reads
	wanted   // the same, and the owner waits for the turn

	holder    = 3 // mask of the above
	oneBorrow = 4
)

// New returns a Turn. The function missed reports whether somebody waits for a message
// who may have found nothing to borrow. It is called when the turn has become free to be
// borrowed, and is right if everybody makes it true before Borrow: one of the two then
// sees what the other did.
func New(missed func() bool) *Turn {
	return &Turn{missed: missed, back: make(chan struct{}, 1)}
}

// Lend lets others borrow the turn. The owner calls Await next.
func (t *Turn) Lend() {
	t.state.Add(onLoan - owned)
	t.recallMissed()
}

func (t *Turn) recallMissed() {
	if t.missed() {
		t.Recall()
	}
}

// Borrow takes the turn if it is on loan and nobody has it. If it reports true, GiveBack
// or HandOver must follow.
func (t *Turn) Borrow() bool {
	s := t.state.Load()
	return s&holder == onLoan && t.state.CompareAndSwap(s, s-onLoan+borrowed+oneBorrow)
}

// Borrows returns how often the turn has been borrowed.
func (t *Turn) Borrows() uint64 { return t.state.Load() / oneBorrow }

// GiveBack ends a Borrow. Others may borrow the turn, unless the owner needs it.
func (t *Turn) GiveBack() {
	s := t.state.Load()
	if s&holder == wanted || !t.state.CompareAndSwap(s, s-borrowed+onLoan) {
		t.HandOver()
		return
	}
	t.recallMissed()
}

// HandOver ends a Borrow, and gives the turn to its owner.
func (t *Turn) HandOver() {
	t.state.And(^uint64(holder)) // owned
	t.back <- struct{}{}
}

// Recall gives the turn to its owner if it is on loan and nobody has it. It is for
// somebody who waits for a message and will not read it, and may be called by anybody.
func (t *Turn) Recall() {
	if s := t.state.Load(); s&holder == onLoan && t.state.CompareAndSwap(s, s-onLoan+owned) {
		t.back <- struct{}{}
	}
}

// An End says how a loan has ended.
type End int

// How loans end.
const (
	Returned    End = iota // by HandOver or Recall
	Unused                 // nobody has borrowed the turn for a while
	Interrupted            // a borrower has had it for a while
)

// Await returns when the owner has the turn again. It calls interrupt to end what a
// borrower does, who then hands the turn over. When end is closed, the loan is over.
func (t *Turn) Await(end <-chan struct{}, interrupt func()) End {
	timer := time.NewTimer(Look)
	defer timer.Stop()
	for last := t.state.Load(); ; {
		over := false
		select {
		case <-t.back:
			return Returned
		case <-timer.C:
		case <-end:
			over = true
		}
		s := t.state.Load()
		switch idle := over || s == last; {
		case idle && s&holder == onLoan && t.state.CompareAndSwap(s, s-onLoan+owned):
			return Unused
		case idle && s&holder == borrowed && t.state.CompareAndSwap(s, s-borrowed+wanted):
			interrupt()
			<-t.back
			return Interrupted
		}
		last = s
		timer.Reset(Look)
	}
}
