package geerpc

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/transport"
)

// Peers made by hand, for what a well-behaved one never does.

// unsaid returns a connection to e's server on which nothing has been said yet.
func (e *env) unsaid() net.Conn {
	e.t.Helper()
	e.start()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	protocol := transport.Protocol{Network: e.lis.Addr().Network(), HTTP: e.transport == "http"}
	conn, err := protocol.Connect(ctx, e.lis.Addr().String(), e.option.transport())
	if err != nil {
		e.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patient))
	e.t.Cleanup(func() { conn.Close() })
	return conn
}

// A codecPeer is a client that has shaken hands and whose codec is driven by
// hand.
type codecPeer struct {
	net.Conn
	codec.Codec
	ack handshake.Ack
}

func (p *codecPeer) Close() error { return p.Conn.Close() }

// handshake says hello as our client does, changed by edit, and reads the
// answer.
func (e *env) handshake(edit func(*handshake.Hello)) *codecPeer {
	e.t.Helper()
	p := &codecPeer{Conn: e.unsaid()}
	h := handshake.Hello{MagicNumber: MagicNumber, CodecType: e.codec, Version: handshake.Version, Ack: true, Extended: true, Kinds: allKinds}
	if edit != nil {
		edit(&h)
	}
	sayLine(e.t, p.Conn, h)
	hearLine(e.t, p.Conn, &p.ack)
	if p.ack.OK {
		newCodec, err := codec.Lookup(h.CodecType)
		if err != nil {
			e.t.Fatal(err)
		}
		p.Codec = newCodec(p.Conn)
		if p.ack.Extended {
			p.Codec = p.Codec.(codec.Extended).Extend()
		}
	}
	return p
}

// call sends a request.
func (p *codecPeer) call(t testing.TB, serviceMethod string, seq uint64, args any) {
	t.Helper()
	if err := p.Write(&codec.Header{ServiceMethod: serviceMethod, Seq: seq}, args); err != nil {
		t.Fatal(err)
	}
}

// Write resolves what Conn and Codec both have.
func (p *codecPeer) Write(h *codec.Header, body any) error { return p.Codec.Write(h, body) }

// reply reads a reply into body, unless it is an error, which it returns.
func (p *codecPeer) reply(t testing.TB, body any) (seq uint64, err error) {
	t.Helper()
	var h codec.Header
	if err := p.ReadHeader(&h); err != nil {
		t.Fatal("reading a reply: ", err)
	}
	err = replyError(&h)
	if err != nil {
		body = nil
	}
	if err := p.ReadBody(body); err != nil {
		t.Fatal("reading a reply: ", err)
	}
	return h.Seq, err
}

// A logCount is a slog.Handler that keeps messages.
type logCount struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *logCount) Enabled(context.Context, slog.Level) bool { return true }
func (l *logCount) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logCount) WithGroup(string) slog.Handler            { return l }

func (l *logCount) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logCount) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// idle waits until e's server has no connection left, and all is logged.
func (e *env) idle() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	if e.conns.Wait(ctx) != nil {
		e.t.Fatal("connections are left on the server")
	}
	e.reports.Wait(time.Minute)
}
