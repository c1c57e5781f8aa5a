package xclient

import "time"

// A poll is what the servers of a fleet have shown lately, all taken together.
type poll struct {
	at                time.Duration
	answers, failures int
	called, failing   int // servers: that had calls, and that are in a row of failures
	shares            map[*Server]share
}

// A share is what one server has shown lately.
type share struct{ answers, failures, row int }

// failing is how many failures in a row are no coincidence any more.
const failing = 2

// pollEvery is how long a poll may be used, for it is as long as the list.
const pollEvery = 100 * time.Millisecond

// pollMost is how often the servers are asked at most.
const pollMost = 5 * time.Millisecond

// pollSince sees to it that the poll is from after a time, and reports false if
// it is too early for another one.
func (f *fleet) pollSince(since, now time.Duration) bool {
	if f.poll.shares != nil && f.poll.at <= since {
		if now-f.poll.at < pollMost {
			return false
		}
		f.poll.shares = nil
	}
	return true
}

// pollLocked returns what the servers have shown lately.
func (f *fleet) pollLocked(now time.Duration) *poll {
	if f.poll.shares != nil && now-f.poll.at < pollEvery {
		return &f.poll
	}
	p := poll{at: now, shares: make(map[*Server]share, len(f.servers))}
	for _, s := range f.servers {
		var sh share
		if sh.answers, sh.failures, sh.row = s.record.Recent(now); sh.answers+sh.failures == 0 {
			continue
		}
		p.shares[s] = sh
		p.add(sh, 1)
	}
	f.poll = p
	return &f.poll
}

// add counts a server n times.
func (p *poll) add(sh share, n int) {
	p.answers += n * sh.answers
	p.failures += n * sh.failures
	p.called += n
	if sh.row >= failing {
		p.failing += n
	}
}

// othersLocked returns the share of calls that fail on the other servers: of
// those lately, or of the servers that fail now, whichever is greater. When
// everything fails at once the former takes its time to show it.
func (f *fleet) othersLocked(s *Server, now time.Duration) float64 {
	p := *f.pollLocked(now)
	if own, ok := p.shares[s]; ok {
		p.add(own, -1)
	}
	return max(ratio(p.failures, p.answers+p.failures), ratio(p.failing, p.called))
}

func ratio(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
