package xclient

import (
	"context"
	"sync"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
)

// failed returns an error as calls fail with.
func failed(code geerpc.Code, where geerpc.Where, ran geerpc.Ran) error {
	e := geerpc.Errorf(code, "it failed: %v", code).(*geerpc.Error)
	e.Where, e.Ran = where, ran
	return e
}

// What calls commonly fail with.
var (
	errRefused = failed(geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanNever)
	errLost    = failed(geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanMaybe)
	errInvalid = failed(geerpc.CodeInvalidArgument, geerpc.InServer, geerpc.RanNever)
)

// A script is a CallFunc that answers attempt after attempt as is written, the
// last line again and again.
type script struct {
	lines []line

	mu    sync.Mutex  // guards what follows
	begun []time.Time // attempts
	ended int
}

// A line is the answer to an attempt.
type line struct {
	after time.Duration
	err   error
	reply string // which is also the value of reply metadata
	do    func() // instead of all that
}

func good(after time.Duration, reply string) line { return line{after: after, reply: reply} }

func bad(after time.Duration, err error) line { return line{after: after, err: err} }

// errorsAtOnce returns a script of attempts that fail at once.
func errorsAtOnce(errs ...error) *script {
	s := new(script)
	for _, err := range errs {
		s.lines = append(s.lines, line{err: err})
	}
	return s
}

func (s *script) call(ctx context.Context, _ string, _, reply any) error {
	l := s.next()
	defer s.end()
	if l.do != nil {
		l.do()
	}
	if l.after > 0 && !backoff.Sleep(ctx, l.after) {
		return &geerpc.Error{Code: geerpc.CodeOf(ctx.Err()), Where: geerpc.OnLink, Ran: geerpc.RanMaybe}
	}
	if into := geerpc.ReplyMetadataTarget(ctx); into != nil {
		into[l.reply] = l.reply
	}
	if into, ok := reply.(*string); ok {
		*into = l.reply
	}
	return l.err
}

func (s *script) next() line {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = append(s.begun, time.Now())
	return s.lines[min(len(s.begun), len(s.lines))-1]
}

func (s *script) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
}

// attempts returns how many have begun and ended.
func (s *script) attempts() (begun, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.begun), s.ended
}
