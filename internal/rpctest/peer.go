package rpctest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"geerpc/internal/handshake"
	"geerpc/internal/wire"
)

// Peers made by hand, for what a well-behaved one never does.

const (
	Patient     = 10 * time.Second // how long a test waits for what should come at once
	LegacyBytes = 512              // how much an old server's first read takes at most
)

// AllKinds are what our own clients say that they handle.
var AllKinds = []string{"call", "reply", "cancel", "goaway", "ping", "pong"}

// SayLine writes v as a line of JSON.
func SayLine(t testing.TB, conn io.Writer, v any) {
	t.Helper()
	line, err := json.Marshal(v)
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	if err != nil {
		t.Error("saying a line: ", err)
	}
}

// HearLine reads a JSON object into v, with the newline behind it, and no more.
// A hello that suits old servers too has no newline: it has 512 bytes.
func HearLine(t testing.TB, conn io.Reader, v any) {
	t.Helper()
	var line []byte
	var s wire.JSONScanner
	for complete := false; !complete || line[len(line)-1] != '\n' && len(line) != LegacyBytes; {
		b := make([]byte, 1)
		if _, err := conn.Read(b); err != nil {
			t.Errorf("hearing a line: %v, after %q", err, line)
			return
		}
		line = append(line, b[0])
		if !complete {
			_, complete = s.Scan(b)
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		t.Errorf("hearing a line: %v, in %q", err, line)
	}
}

// ExpectClosed reads until the other end hangs up, and returns what came.
func ExpectClosed(t testing.TB, conn net.Conn) string {
	t.Helper()
	rest, err := io.ReadAll(conn)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatal("the connection was not closed")
	}
	return string(rest)
}

// Double listens on TCP and gives each connection to serve, which closes it.
func Double(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ServeDouble(t, lis, serve)
	return lis.Addr().String()
}

// ServeDouble is Double on a listener that there is. All ends with the test.
func ServeDouble(t testing.TB, lis net.Listener, serve func(net.Conn)) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				stop := context.AfterFunc(t.Context(), func() { conn.Close() })
				defer stop()
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { lis.Close(); wg.Wait() })
}

// Welcome is the server's half of a handshake that goes well.
func Welcome(t testing.TB, conn net.Conn) {
	t.Helper()
	var h handshake.Hello
	HearLine(t, conn, &h)
	SayLine(t, conn, handshake.Ack{OK: true, Version: handshake.Version, Extended: true, Kinds: AllKinds})
}
