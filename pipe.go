package geerpc

import (
	"context"
	"io"
	"net"
	"sync"

	"geerpc/internal/streamconn"
)

// Connections that need no network: NewConn makes one of any stream, and a PipeListener
// those inside the process.

// NewConn makes a net.Conn of a stream that can be read and written, such as
// the standard input and output of a child process, or an SSH channel, for
// NewClient. (Server.ServeConn takes rwc as it is.) It returns nil for a nil
// rwc, and rwc itself if that is a net.Conn.
//
// Addresses, deadlines and CloseWrite are those of rwc if it has such methods.
// If not, an address is "stream", setting a deadline fails with
// os.ErrNoDeadline, and CloseWrite fails with errors.ErrUnsupported. A Client
// needs none of them, because it has timers of its own.
//
// Close closes rwc, which should end a Read and a Write that are under way.
// Client.Close says what happens if it doesn't.
func NewConn(rwc io.ReadWriteCloser) net.Conn {
	if rwc == nil {
		return nil
	}
	return streamconn.New(rwc)
}

// A PipeListener is a network inside the process, for tests and for programs
// that are their own client. A Server accepts from it, and an Option has its
// DialContext as Dialer:
//
//	lis := geerpc.NewPipeListener()
//	go server.Serve(lis)
//	client, err := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext})
//
// Its connections are those of net.Pipe: nothing is buffered in between, and
// deadlines work.
type PipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

var _ net.Listener = (*PipeListener)(nil)

// NewPipeListener returns a PipeListener, open until Close.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a DialContext and returns the server's end. After Close it
// returns net.ErrClosed.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// DialContext waits for an Accept and returns the client's end. It fails when
// ctx ends and, with net.ErrClosed, when the listener is closed. It ignores the
// network and the address.
func (l *PipeListener) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	client, server := net.Pipe()
	var err error
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	client.Close()
	server.Close()
	return nil, &net.OpError{Op: "dial", Net: "pipe", Err: err}
}

// Close ends Accept and DialContext. Connections are not closed.
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address of the network "pipe".
func (l *PipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
