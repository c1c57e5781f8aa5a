package connset

import (
	"errors"
	"net"
	"sync/atomic"

	"geerpc/internal/usercode"
)

// A Listener is a listener that is closed only once, however often Close is called. A
// second Close may do harm: it may remove a socket file that belongs to another listener
// by then.
type Listener struct {
	net.Listener
	report  usercode.Reporter
	closing atomic.Bool
	closed  chan struct{} // closed when Close has returned
	err     error         // of Close; set before
}

// NewListener returns a Listener for lis. A panic of its Close is logged.
func NewListener(lis net.Listener, report usercode.Reporter) *Listener {
	return &Listener{Listener: lis, report: report, closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if conn == nil && err == nil {
		err = ErrNoConn
	}
	return conn, err
}

// ErrNoConn is why Accept failed if the listener returned nothing.
var ErrNoConn = errors.New("rpc server: the listener's Accept returned neither a connection nor an error")

// Close implements net.Listener. All callers wait for the one Close.
func (l *Listener) Close() error {
	if l.closing.CompareAndSwap(false, true) {
		defer close(l.closed)
		l.err = errors.New("rpc server: the listener's Close did not return")
		usercode.Guard(l.report, "the Close of a listener", func() { l.err = l.Listener.Close() })
		return l.err
	}
	<-l.closed
	return l.err
}
