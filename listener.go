package geerpc

import (
	"errors"
	"net"
	"sync/atomic"

	"geerpc/internal/usercode"
)

// A listener is one that Serve was given. It is closed once, whoever comes
// first: a second Close may do harm, such as removing a socket file that is
// another's by then.
type listener struct {
	net.Listener
	report  usercode.Reporter
	closing atomic.Bool
	closed  chan struct{} // closed when its Close has returned
	err     error         // of that; set before
}

func newListener(lis net.Listener, report usercode.Reporter) *listener {
	return &listener{Listener: lis, report: report, closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if conn == nil && err == nil {
		err = errNoneAccepted
	}
	return conn, err
}

var errNoneAccepted = errors.New("rpc server: the listener's Accept returned neither a connection nor an error")

// Close implements net.Listener. All callers wait for the one Close.
func (l *listener) Close() error {
	if l.closing.CompareAndSwap(false, true) {
		defer close(l.closed)
		l.err = errors.New("rpc server: the listener's Close did not return")
		usercode.Guard(l.report, "the Close of a listener", func() { l.err = l.Listener.Close() })
		return l.err
	}
	<-l.closed
	return l.err
}
