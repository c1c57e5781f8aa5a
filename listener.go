package geerpc

import (
	"errors"
	"net"
	"sync"
)

// A listener is one that Serve was given. It is closed once, whoever comes
// first: a second Close may do harm, such as removing a socket file that is
// another's by then.
type listener struct {
	net.Listener
	report reportFunc
	once   sync.Once
	err    error
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

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.err = errors.New("rpc server: the listener's Close did not return")
		guard(l.report, "the Close of a listener", func() { l.err = l.Listener.Close() })
	})
	return l.err
}
