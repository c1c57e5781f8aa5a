package geerpc

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/wire"
)

// probeAfter is how long a server is silent before it is asked whether it is an old
// one.
const probeAfter = 5 * time.Second

// pipeTo is a Dialer to serve, on the other end of a pipe. All ends with the
// test.
func pipeTo(t *testing.T, serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		wg.Go(func() { defer far.Close(); serve(far) })
		return near, nil
	}
}

// TestB105_OldServerFound dials servers of GeeRPC's original version without
// Option.Legacy. They are found out by themselves, and calls work.
func TestB105_OldServerFound(t *testing.T) {
	for name, c := range map[string]struct {
		option Option
		after  time.Duration
	}{
		"no limit":        {Option{HandleTimeout: time.Minute}, probeAfter},
		"10 s to connect": {Option{ConnectTimeout: 10 * time.Second}, 5 * time.Second},
		"2 s to connect":  {Option{ConnectTimeout: 2 * time.Second}, time.Second},
		"a minute":        {Option{ConnectTimeout: time.Minute}, probeAfter},
		"no limits":       {Option{MaxMessageBytes: -1, PingInterval: -1, FlushTimeout: -1}, probeAfter},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(logCount)
				c.option.Logger, c.option.Dialer = slog.New(log), pipeTo(t, serveOld)
				start := time.Now()
				client, err := Dial("pipe", "", &c.option)
				if took := time.Since(start); err != nil || took != c.after {
					t.Fatalf("after %v, want %v: %v", took, c.after, err)
				}
				defer client.Close()
				for range 20 {
					mustAdd(t, client)
				}
				err = client.Call(t.Context(), "Arith", nil, nil)
				if err == nil || !strings.Contains(err.Error(), "ill-formed") {
					t.Error(err)
				}
				synctest.Wait()
				if lines := log.all(); len(lines) != 1 || !strings.Contains(lines[0], "Option.Legacy") {
					t.Errorf("logged %q", lines)
				}
			})
		})
	}
}

// TestB105_OverSockets is the same over real sockets, in the moment after the
// handshake.
func TestB105_OverSockets(t *testing.T) {
	t.Parallel()
	addr := double(t, serveOld)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			client, err := Dial("tcp", addr, &Option{ConnectTimeout: probeAfter - time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			defer client.Close()
			for range 50 {
				mustAdd(t, client)
			}
		})
	}
	wg.Wait()
}

// TestB105_Silence dials what answers neither the hello nor the probe: it does
// not count as connected, and the wait ends.
func TestB105_Silence(t *testing.T) {
	deaf := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, c := range map[string]struct {
		option Option
		after  time.Duration
	}{
		"no limit":        {Option{HandleTimeout: time.Minute}, handshake.Timeout},
		"20 s to connect": {Option{ConnectTimeout: 20 * time.Second}, 20 * time.Second},
		"another codec":   {Option{CodecType: codec.JsonType}, handshake.Timeout},
		"a long token":    {Option{Token: strings.Repeat("x", legacyBytes)}, handshake.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.option.Dialer = pipeTo(t, deaf)
				start := time.Now()
				_, err := Dial("pipe", "", &c.option)
				if took := time.Since(start); took != c.after {
					t.Errorf("took %v, want %v", took, c.after)
				}
				wantError(t, err, CodeDeadlineExceeded, OnLink, RanNever)
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Option.Legacy") {
					t.Error(err)
				}
			})
		})
	}
}

// TestB105_LateAnswers has the server answer the hello when the probe has been
// sent, or answer the probe with something else.
func TestB105_LateAnswers(t *testing.T) {
	old := func(h oldHeader) string {
		var text strings.Builder
		enc := gob.NewEncoder(&text)
		enc.Encode(h)
		enc.Encode(struct{}{})
		return text.String()
	}
	for name, c := range map[string]struct{ answer, says string }{
		"an acknowledgement":  {plainWelcome, "acknowledged so late"},
		"a refusal":           {`{"OK":false,"Error":"full"}` + "\n", "acknowledged so late"},
		"a web page":          {"HTTP/1.1 400 Bad Request\r\n\r\n", "DialHTTP"},
		"a TLS alert":         {"\x15\x03\x01\x00\x02\x02\x0a", "TLS"},
		"another seq":         {old(oldHeader{Seq: 1, Error: "no"}), "no acknowledgement"},
		"no error":            {old(oldHeader{Seq: MagicNumber}), "no acknowledgement"},
		"noise":               {"\x03\x01\x02\x03\x03\x01\x02\x03", "corrupt"},
		"half a message":      {old(oldHeader{Seq: MagicNumber, Error: "no"})[:30], "server closed the connection"},
		"nothing, and hangup": {"", "server closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opt := &Option{ConnectTimeout: 20 * time.Second, Dialer: pipeTo(t, func(conn net.Conn) {
					json.NewDecoder(conn).Decode(new(handshake.Hello))
					conn.Read(make([]byte, legacyBytes)) // the probe
					io.WriteString(conn, c.answer)
				})}
				_, err := Dial("pipe", "", opt)
				wantRan(t, err, RanNever)
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v; want %q", err, c.says)
				}
			})
		})
	}
}

func wantRan(t *testing.T, err error, ran Ran) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Ran != ran {
		t.Errorf("error is %v, want one with ran %v", err, ran)
	}
}

// TestB105_OwnServerWakesUp has our own server stopped from the hello until
// after the probe: no call is made on that connection, and the next Dial works.
func TestB105_OwnServerWakesUp(t *testing.T) {
	for _, stopped := range []time.Duration{time.Second, probeAfter - 1, probeAfter, probeAfter + 1, 8 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			server := NewServer()
			server.Register(new(Arith))
			opt := &Option{ConnectTimeout: 20 * time.Second, Dialer: pipeTo(t, func(conn net.Conn) {
				buffer := make([]byte, handshake.MaxBytes)
				n, _ := conn.Read(buffer)
				<-time.After(stopped)
				server.ServeConn(wire.WithAhead(conn, buffer[:n]))
			})}
			client, err := Dial("pipe", "", opt)
			switch {
			case err == nil:
				mustAdd(t, client)
				client.Close()
				if stopped > probeAfter {
					t.Errorf("stopped for %v: connected", stopped)
				}
			case stopped < probeAfter:
				t.Errorf("stopped for %v: %v", stopped, err)
			default:
				wantError(t, err, CodeUnavailable, OnLink, RanNever)
			}
			server.Close()
		})
	}
}

// TestB105_OneHelloForBoth checks what is sent first: 512 bytes with gob, and
// a line with other codecs, which old servers don't have. Our server takes both
// without waiting for more.
func TestB105_OneHelloForBoth(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		start := time.Now()
		mustAdd(t, e.dial(&Option{ConnectTimeout: patient}))
		if took := time.Since(start); took >= probeAfter {
			t.Errorf("took %v", took)
		}
	})
	for name, opt := range map[string]Option{"gob": {}, "JSON": {CodecType: codec.JsonType}, "long token": {Token: strings.Repeat("x", legacyBytes)}} {
		said := make(chan string, 1)
		opt.Dialer = pipeTo(t, func(conn net.Conn) {
			buffer := make([]byte, handshake.MaxBytes)
			n, _ := conn.Read(buffer)
			said <- string(buffer[:n])
		})
		Dial("pipe", "", &opt)
		switch text := <-said; {
		case name == "gob" && (len(text) != legacyBytes || text[legacyBytes-1] != '}'):
			t.Errorf("%s: %d bytes, %q", name, len(text), text)
		case name != "gob" && !strings.HasSuffix(text, "}\n"):
			t.Errorf("%s: %q", name, text)
		case !strings.Contains(text, `"Ack":true`):
			t.Errorf("%s: %q", name, text)
		}
	}
}
