package monotime

import (
	"sync"
	"time"
)

// An Alarm calls a function when a time is up, unless it is stopped before.
// Time during which the process did not run does not count: an Alarm that
// would ring late begins anew.
type Alarm struct {
	ring func()

	mu     sync.Mutex // guards what follows
	timer  *time.Timer
	length time.Duration
	due    time.Duration // by Now
	set    bool
}

// NewAlarm returns an Alarm that calls ring, in a goroutine of its own.
func NewAlarm(ring func()) *Alarm { return &Alarm{ring: ring} }

// Set makes the Alarm ring after d, which replaces a time set before.
func (a *Alarm) Set(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set, a.length, a.due = true, d, Now()+d
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.fire)
	} else {
		a.timer.Reset(d)
	}
}

// Stop reports whether it has kept the Alarm from ringing.
func (a *Alarm) Stop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	stopped := a.set
	a.set = false
	if a.timer != nil {
		a.timer.Stop()
	}
	return stopped
}

func (a *Alarm) fire() {
	if a.isDue() {
		a.ring()
	}
}

// isDue reports whether it is time to ring.
func (a *Alarm) isDue() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.set || Now() < a.due: // stopped, or set anew, in this moment
		return false
	case Late(a.due, a.length):
		a.due = Now() + a.length
		a.timer.Reset(a.length)
		return false
	}
	a.set = false
	return true
}
