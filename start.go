package geerpc

import "sync/atomic"

// A start decides whether a method begins. Several may have a say in it: the
// goroutine that runs the call, its handle timeout, and interceptors that call
// next when they like. Once a caller has been told that the method never ran, it
// must not begin any more, for the caller may have called elsewhere.
//
// A nil start is for a call of which one goroutine decides.
type start struct{ state atomic.Uint32 }

// The states of a start.
const (
	startOpen = iota
	startBegun
	startForgone
)

// begin reports whether the method may run, which it may do more than once.
func (s *start) begin() bool {
	return s == nil || s.state.CompareAndSwap(startOpen, startBegun) || s.hasBegun()
}

func (s *start) hasBegun() bool { return s != nil && s.state.Load() == startBegun }

// forgo reports whether the method has not begun and, from now on, never will.
func (s *start) forgo() bool {
	return s == nil || s.state.CompareAndSwap(startOpen, startForgone) || !s.hasBegun()
}
