// Package report passes messages to a Logger without waiting for it.
package report

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Grace is how long whoever closes something waits for its messages to be
// logged. A Logger that takes longer may still be at work afterwards.
const Grace = 250 * time.Millisecond

// mostWaiting limits the messages that wait for a Logger.
const mostWaiting = 64

// A Queue logs messages in order, on a goroutine of its own. A Logger is the
// user's code: it may block, panic, or close what the message is about, so
// nothing that others wait for may call it. Messages that find too many waiting
// are dropped, and counted. The zero Queue is ready.
type Queue struct {
	mu      sync.Mutex // guards what follows
	waiting []message
	dropped int           // since a message was last taken
	idle    chan struct{} // closed when all is logged; nil: nothing has been since
}

type message struct {
	logger *slog.Logger
	record slog.Record
	call   func() // in place of a record
}

// Log has a message logged, unless the logger is nil. It does not wait. The
// arguments are those of slog.Logger.Log. They are looked at later, on another
// goroutine, and must not change until then: of what may change, such as a value
// that was panicked with, pass the text.
func (q *Queue) Log(logger *slog.Logger, level slog.Level, text string, args ...any) {
	if logger == nil || logger.Handler() == slog.DiscardHandler {
		return
	}
	r := slog.NewRecord(time.Now(), level, text, 0)
	r.Add(args...)
	q.add(message{logger: logger, record: r})
}

// Call has a function called, a hook of the user's, in its place among the messages. It
// does not wait.
func (q *Queue) Call(hook func()) { q.add(message{call: hook}) }

func (q *Queue) add(m message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == mostWaiting {
		q.dropped++
		return
	}
	q.waiting = append(q.waiting, m)
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.run() // ends when all is logged; only Wait waits
	}
}

// Wait returns when all messages so far have been logged, at the latest after
// the limit.
func (q *Queue) Wait(limit time.Duration) {
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// run logs what is waiting.
func (q *Queue) run() {
	ended := false
	defer func() {
		if !ended { // a Logger has ended our goroutine
			go q.run()
		}
	}()
	for {
		m, dropped, ok := q.next()
		if !ok {
			break
		}
		m.deliver()
		if dropped > 0 {
			lost := slog.NewRecord(time.Now(), slog.LevelWarn, "rpc: messages were dropped, for the Logger is too slow", 0)
			lost.Add("messages", dropped)
			message{logger: m.logger, record: lost}.deliver()
		}
	}
	ended = true
}

// next takes the oldest message, and tells how many were dropped since the
// one before it was taken.
func (q *Queue) next() (m message, dropped int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		close(q.idle)
		q.idle, q.waiting = nil, nil
		return m, 0, false
	}
	m = q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	if m.call == nil { // there is a Logger to be told
		dropped, q.dropped = q.dropped, 0
	}
	return m, dropped, true
}

// deliver hands the message to its Logger, or calls the hook. A panic of theirs costs
// nobody else anything.
func (m message) deliver() {
	defer func() { recover() }()
	if m.call != nil {
		m.call()
		return
	}
	ctx := context.Background()
	if h := m.logger.Handler(); h.Enabled(ctx, m.record.Level) {
		h.Handle(ctx, m.record)
	}
}
