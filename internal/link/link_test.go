package link

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

func discard(slog.Level, string, ...any) {}

func refuse(h *codec.Header) { h.Error = "no" }

// Any number of calls may be in flight, to a server that sets no limit, and all
// of them be cancelled while it reads slowly: that is nobody's fault. A peer that
// is owed too many refusals, and reads none, is given up all the same.
func TestD140_ControlsToASlowPeer(t *testing.T) {
	for kind, want := range map[codec.Kind]error{codec.Cancel: nil, codec.Reply: errOwing} {
		near, far := net.Pipe()
		l := New(far, Config{Report: discard})
		if err := l.Open(codec.NewGobCodec); err != nil {
			t.Fatal(err)
		}
		l.Out.Begin(t.Context()) // nothing leaves
		for seq := range uint64(2 * maxRefusals) {
			l.Post(Control{Kind: kind, Seq: seq, Fill: refuse})
		}
		if cause := l.Cause(); cause != want {
			t.Errorf("%v: the link's cause is %v, want %v", kind, cause, want)
		}
		l.Out.End()
		near.Close()
		l.Fail(net.ErrClosed)
		l.Close()
	}
}

// Many messages in one turn must not keep out those of others, a pong among
// them: encoding them may be slow.
func TestLink_TurnsAreShared(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	l := New(ours, Config{Report: discard})
	defer l.Close()
	defer l.Fail(net.ErrClosed)
	go io.Copy(io.Discard, theirs) // ends with the connection
	other := make(chan error, 1)
	calls := 0
	more := func() bool {
		if err := l.Out.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.sendSome(func(alive bool) (more bool) {
			if calls++; calls == 1 {
				go func() { // ends with its turn
					other <- l.Out.Begin(t.Context())
					l.Out.End()
				}()
				for !l.Out.Wanted() {
					runtime.Gosched()
				}
			}
			return true
		})
	}()
	if calls != 1 || !more {
		t.Errorf("%d messages in the turn, more to come: %v", calls, more)
	}
	if err := <-other; err != nil {
		t.Error(err)
	}
}

// A text ends where a rune does.
func TestC139_Cut(t *testing.T) {
	for n, want := range []string{"", "a", "a", "aé", "aé"} {
		if got := cut("aé", n); got != want {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}

// A tick that comes late, because this process did not run, is no evidence
// against the peer: it is asked again, and has its time to answer.
func TestD129_LateTick(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint("peer answers: ", answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				l, peer := open(t, near), open(t, far)
				go read(l, nil) // ends with the link
				heard := make(chan codec.Kind, 10)
				go read(peer, heard)
				l.KeepAlive(Keepalive{Promise: 30 * time.Second, Ask: 30 * time.Second, Timeout: 10 * time.Second})
				if kind := <-heard; kind != codec.Ping {
					t.Fatal(kind)
				}
				synctest.Wait()
				l.mu.Lock()
				l.alive.due -= 2 * time.Minute // as if we had slept since
				l.alive.asked -= 2 * time.Minute
				l.mu.Unlock()
				if kind := <-heard; kind != codec.Ping {
					t.Fatal(kind)
				}
				start := time.Now()
				if answers {
					peer.AnswerPing()
					time.Sleep(29 * time.Second) // in the bubble
					if l.Cause() != nil {
						t.Error("closed though the peer answered")
					}
					return
				}
				<-l.ctx.Done()
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("closed after %v", took)
				}
			})
		})
	}
}

// open returns a link over conn, in the extended layout, closed with the test.
func open(t *testing.T, conn net.Conn) *Link {
	t.Helper()
	l := New(conn, Config{Report: discard})
	if err := l.Open(codec.NewGobCodec); err != nil {
		t.Fatal(err)
	}
	l.Extend(NewKinds([]string{"ping", "pong"}))
	t.Cleanup(func() {
		l.Fail(net.ErrClosed)
		l.Close()
	})
	return l
}

// read reads from a link until it ends, and says what it reads.
func read(l *Link, heard chan<- codec.Kind) {
	var h codec.Header
	for l.ReadHeader(&h) == nil && l.ReadBody(nil) == nil {
		if heard != nil {
			heard <- h.Frame().Kind
		}
	}
	l.Fail(net.ErrClosed)
}
