package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A shownConn is a wrapper that shows what it wraps, as *tls.Conn does.
type shownConn struct{ net.Conn }

func (c shownConn) NetConn() net.Conn { return c.Conn }

// pair returns the two ends of a connection over a network: tcp, unix, tls, or
// wrapped, which is tcp in a shownConn.
func pair(t testing.TB, network string) (near, far net.Conn) {
	t.Helper()
	kind, address := "tcp", "127.0.0.1:0"
	if network == "unix" {
		kind, address = "unix", filepath.Join(t.TempDir(), "s")
	}
	lis, err := net.Listen(kind, address)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	dialled := make(chan net.Conn, 1)
	go func() {
		conn, _ := net.Dial(kind, lis.Addr().String())
		dialled <- conn
	}()
	near, err = lis.Accept()
	far = <-dialled
	if err != nil || far == nil {
		t.Fatal("no connection: ", err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	far.(interface{ SetReadBuffer(int) error }).SetReadBuffer(64 << 10)
	near.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(256 << 10) // the kernel would take megabytes
	switch network {
	case "wrapped":
		near = shownConn{near}
	case "tls":
		near = tls.Server(near, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
		far = tls.Client(far, &tls.Config{InsecureSkipVerify: true})
		shaken := make(chan error, 1)
		go func() { shaken <- far.(*tls.Conn).HandshakeContext(t.Context()) }()
		if err := near.(*tls.Conn).HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
	}
	return near, far
}

func certificate(t testing.TB) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// readSlowly reads conn at some bytes per second, also where the machine is busy,
// until all has been sent, and then what is on its way. It returns how many bytes
// came.
func readSlowly(conn net.Conn, perSecond int, sent <-chan struct{}) (n int) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, perSecond)
	for start := time.Now(); ; {
		due := len(buf)
		select {
		case <-tick.C:
			due = min(int(time.Since(start).Seconds()*float64(perSecond))-n, due)
		case <-sent:
		}
		got, err := io.ReadFull(conn, buf[:max(due, 1)])
		n += got
		if err != nil {
			return n
		}
	}
}

// A peer that reads slowly but steadily is not cut, although a blocked write
// on a socket may sleep for longer than the limit while the peer reads.
func TestD101_SlowLinkIsNotSilent(t *testing.T) {
	t.Parallel()
	const total, limit, perSecond = 1 << 20, 2 * time.Second, 140 << 10 // progress shows once a second

	var wg sync.WaitGroup // all at once: each waits for most of the time
	for _, network := range []string{"tcp", "unix", "tls", "wrapped"} {
		near, far := pair(t, network)
		w := NewWriter(near, limit, func(err error) { near.Close() })
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for n := 0; n < total && w.Begin(context.Background()) == nil; n += 64 << 10 {
				w.Write(make([]byte, 64<<10))
				w.End()
				w.Flush(false)
			}
			w.Drain(context.Background())
			near.(interface{ Close() error }).Close()
		}()
		wg.Go(func() {
			start := time.Now()
			if n := readSlowly(far, perSecond, drained); n != total {
				t.Errorf("%s: %d of %d bytes came in %v: %v", network, n, total, time.Since(start), w.Err())
			}
			<-drained
			w.Fail(io.EOF)
			w.Wait()
		})
	}
	wg.Wait()
}

// A peer that takes nothing at all is cut at the limit, and one that stops in
// the middle as well.
func TestD101_StuckPeerIsCut(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	for _, network := range []string{"tcp", "unix", "tls", "wrapped"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t, network)
			failed := make(chan error, 1)
			w := NewWriter(near, limit, func(err error) { near.Close(); failed <- err })
			var written atomic.Int64
			go func() {
				for w.Begin(context.Background()) == nil {
					w.Write(make([]byte, 256<<10))
					w.End()
					w.Flush(false)
					written.Add(256 << 10)
				}
			}()
			io.ReadFull(far, make([]byte, 1<<20))
			start := time.Now()
			if err := <-failed; err != ErrFlushTimeout {
				t.Error(err)
			}
			if took := time.Since(start); took > 20*limit {
				t.Errorf("cut after %v", took)
			}
			w.Wait()
		})
	}
}

// Each piece that is taken begins a new wait.
func TestD101_ProgressCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		failed := make(chan error, 1)
		w := NewWriter(near, 10*time.Second, func(err error) { near.Close(); failed <- err })
		w.Begin(t.Context())
		w.Write(make([]byte, 100*smallWrite))
		w.End()
		w.Flush(false)
		for range 99 {
			time.Sleep(7 * time.Second)
			io.ReadFull(far, make([]byte, smallWrite))
		}
		start := time.Now()
		if err := <-failed; err != ErrFlushTimeout || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		w.Wait()
	})
}

// A limit of any size is one.
func TestD101_LargeLimits(t *testing.T) {
	const total = 4 << 20
	for _, limit := range []time.Duration{-1, 1<<63 - 1, 1<<63 - 5, time.Hour} {
		near, far := pair(t, "tcp")
		w := NewWriter(near, limit, func(err error) { near.Close() })
		w.Begin(t.Context())
		w.Write(make([]byte, total))
		w.End()
		w.Flush(false)
		far.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(far, make([]byte, total)); err != nil {
			t.Errorf("limit %v: %v", limit, err)
		}
		w.Fail(io.EOF)
		w.Wait()
	}
}

// A maskedConn is a wrapper that is of no use after a write that was cut short,
// as those that encrypt.
type maskedConn struct {
	net.Conn
	sent byte
}

func (c *maskedConn) Write(p []byte) (int, error) {
	masked := make([]byte, len(p))
	for i, b := range p {
		masked[i] = b ^ c.sent
		c.sent++
	}
	return c.Conn.Write(masked)
}

// Unwrap makes it look even more like a socket.
func (c *maskedConn) Unwrap() net.Conn { return c.Conn }

// A wrapper's writes are never cut short and continued: every byte is right,
// however long the peer pauses.
func TestD101_WrappersAreNotCutShort(t *testing.T) {
	t.Parallel()
	const total, limit = 4 << 20, 2 * time.Second
	near, far := pair(t, "tcp")
	w := NewWriter(&maskedConn{Conn: near}, limit, func(err error) { near.Close() })
	w.Begin(t.Context())
	w.Write(make([]byte, total))
	w.End()
	w.Flush(false)
	<-time.After(limit * 9 / 10) // a real socket is full for as long
	got := make([]byte, total)
	if n, err := io.ReadFull(far, got); err != nil {
		t.Fatal(n, err, w.Err())
	}
	for i, b := range got {
		if b != byte(i) {
			t.Fatalf("byte %d is wrong", i)
		}
	}
	w.Fail(io.EOF)
	near.Close()
	w.Wait()
}

// A deadlineConn says of each write that its time is up, as a user's wrapper
// may whose deadline has been set by somebody else.
type deadlineConn struct{ writes atomic.Int64 }

func (c *deadlineConn) Write([]byte) (int, error) {
	c.writes.Add(1)
	return 0, os.ErrDeadlineExceeded
}

// A write that is not ours to continue is not tried again and again.
func TestD101_WrapperWithADeadlineOfItsOwn(t *testing.T) {
	conn, failed := new(deadlineConn), make(chan error, 1)
	w := NewWriter(conn, -1, func(err error) { failed <- err })
	w.Begin(t.Context())
	w.Write([]byte("message"))
	w.End()
	w.Flush(false)
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second): // instead of hanging: the socket is real
		t.Error("it never failed")
		w.Fail(io.EOF)
	}
	w.Wait()
	if n := conn.writes.Load(); n > 1 {
		t.Errorf("%d writes", n)
	}
}
