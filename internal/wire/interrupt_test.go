package wire_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"geerpc/internal/rpctest"
	"geerpc/internal/wire"
)

// socketPair returns both ends of a connection of a transport, the second as a Reader's.
func socketPair(t *testing.T, transport string) (peer, ours net.Conn) {
	t.Helper()
	lis, config := rpctest.Listen(t, transport)
	defer lis.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := lis.Accept()
		if err == nil && config != nil {
			err = conn.(*tls.Conn).Handshake()
		}
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	ours, err := net.Dial(lis.Addr().Network(), lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		secure := tls.Client(ours, config)
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		ours = secure
	}
	peer = <-accepted
	t.Cleanup(func() { peer.Close(); ours.Close() })
	return peer, ours
}

func TestInterrupt(t *testing.T) {
	for _, transport := range []string{"tcp", "unix", "tls"} {
		t.Run(transport, func(t *testing.T) {
			peer, ours := socketPair(t, transport)
			ahead := "a"
			if transport == "tls" {
				ahead = "" // on the client's side nothing is ever ahead of TLS
			}
			r := wire.NewReader(wire.WithAhead(ours, []byte(ahead)))
			if !r.Interruptible() {
				t.Fatal("a socket can be interrupted")
			}
			io.WriteString(peer, "abc"[len(ahead):])
			if got, err := r.Peek(3); string(got) != "abc" || err != nil {
				t.Fatalf("read %q, %v", got, err)
			}
			peeked := make(chan error)
			for range 3 {
				go func() {
					_, err := r.Peek(6)
					peeked <- err
				}()
				r.Interrupt()
				if err := <-peeked; err != wire.ErrInterrupted {
					t.Fatalf("the read ended with %v", err)
				}
				if got, err := r.Peek(3); string(got) != "abc" || err != nil {
					t.Fatalf("what is buffered reads as %q, %v", got, err)
				}
				r.Resume()
			}
			go func() {
				got, err := r.Peek(6)
				if string(got) != "abcdef" {
					err = errors.Join(err, errors.New("read "+string(got)))
				}
				peeked <- err
			}()
			io.WriteString(peer, "def")
			if err := <-peeked; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A deadline that somebody else has set ends the reading for good.
func TestDeadlineIsNoInterrupt(t *testing.T) {
	_, ours := socketPair(t, "tcp")
	r := wire.NewReader(ours)
	ours.SetReadDeadline(time.Unix(1, 0))
	if _, err := r.Peek(1); err == wire.ErrInterrupted || err == nil || r.Err() == nil {
		t.Fatalf("the read ended with %v", err)
	}
}

func TestNotInterruptible(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for name, conn := range map[string]io.Reader{
		"pipe":           a,
		"wrapped":        struct{ net.Conn }{a},
		"TLS over those": tls.Client(a, &tls.Config{}),
	} {
		if wire.NewReader(conn).Interruptible() {
			t.Errorf("%s: what a deadline does to a read is not known", name)
		}
	}
	_, ours := socketPair(t, "tcp")
	r := wire.NewReader(ours)
	r.Unpack(func(below *wire.Reader) io.Reader { return below })
	if r.Interruptible() {
		t.Error("an interrupted read loses what has been unpacked")
	}
	r.Resume() // does nothing
}
