package geerpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/opening"
)

// A rejection is a connection that a server is going to reject, in a bubble.
type rejection struct {
	net.Conn
	server *Server
	log    *logCount
	served chan struct{} // closed when ServeConn has returned
	start  time.Time
}

func newRejection(protocols ...*Protocol) *rejection {
	r := &rejection{log: new(logCount), served: make(chan struct{}), start: time.Now()}
	r.server = &Server{Logger: slog.New(r.log), Protocols: protocols}
	var far net.Conn
	r.Conn, far = net.Pipe()
	go func() { // ends with the connection; expect waits
		defer close(r.served)
		r.server.ServeConn(far)
	}()
	return r
}

// expect waits for the end of the connection and checks that it came after so
// long, without a word to the client and with one line in the log: none if line
// is empty.
func (r *rejection) expect(t *testing.T, after time.Duration, line string) {
	t.Helper()
	said, _ := io.ReadAll(r.Conn)
	<-r.served
	if took := time.Since(r.start); took > after || after > time.Second && took != after {
		t.Errorf("closed after %v, want %v", took, after)
	}
	r.server.reports.Wait(time.Minute)
	lines := r.log.all()
	logged := len(lines) == 1 && line != "" && strings.Contains(lines[0], line) || len(lines) == 0 && line == ""
	if len(said) > 0 || !logged || r.server.rejected.Total() != 1 {
		t.Errorf("said %q, logged %q, counted %d; want a line with %q", said, lines, r.server.rejected.Total(), line)
	}
	r.Close()
}

// TestA7_SlowHandshakes measures how long connections are kept that don't
// complete a handshake.
func TestA7_SlowHandshakes(t *testing.T) {
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	run("brace and no more", func(t *testing.T) {
		r := newRejection()
		r.Write([]byte("{"))
		r.expect(t, handshake.Timeout, "no complete handshake")
	})
	run("brace after a minute", func(t *testing.T) {
		r := newRejection()
		<-time.After(time.Minute)
		r.Write([]byte("{"))
		r.expect(t, time.Minute+handshake.Timeout, "no complete handshake")
	})
	run("B2 slow loris, a byte a second", func(t *testing.T) {
		r := newRejection()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for err := error(nil); err == nil; <-time.After(time.Second) {
				_, err = r.Write([]byte("{"))
			}
		}()
		r.expect(t, handshake.Timeout, "no complete handshake")
		<-ended
	})
	run("silent", func(t *testing.T) { newRejection().expect(t, handshake.SilentTimeout, "") })
	run("64 MiB", func(t *testing.T) {
		r := newRejection()
		taken := 0
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			chunk := append([]byte(`{"Token":"`), bytes.Repeat([]byte("a"), 64<<20)...)
			taken, _ = r.Write(chunk)
		}()
		r.expect(t, 0, "more than 4096 bytes")
		<-wrote
		if taken > 2*handshake.MaxBytes {
			t.Errorf("%d bytes were taken", taken)
		}
	})
	run("just in time", func(t *testing.T) {
		r := newRejection()
		<-time.After(handshake.SilentTimeout - time.Second)
		r.Write([]byte("{"))
		<-time.After(handshake.Timeout - time.Second)
		var answer handshake.Ack
		go io.WriteString(r.Conn, `"MagicNumber":3927900,"CodecType":"application/json","Ack":true}`)
		if hearLine(t, r.Conn, &answer); !answer.OK {
			t.Errorf("refused: %+v", answer)
		}
		r.Close()
		<-r.served
	})
}

// TestB1_RandomBytes opens with noise, of every length up to two handshakes.
func TestB1_RandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		noise := make([]byte, 1+random.IntN(2*handshake.MaxBytes))
		for i := range noise {
			noise[i] = byte(random.Uint32())
		}
		if random.IntN(2) == 0 {
			noise[0] = '{' // what looks like a handshake at first
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRejection(GeeRPC)
			go r.Write(noise) // ends with the connection
			said, _ := io.ReadAll(r.Conn)
			<-r.served
			if took := time.Since(r.start); took > handshake.Timeout {
				t.Errorf("closed after %v", took)
			}
			r.server.reports.Wait(time.Minute)
			begins, _ := opening.Of(noise)
			silent := begins == opening.Unknown || begins == opening.Hello // others are answered
			if lines := r.log.all(); silent && len(said) > 0 || len(lines) != 1 || r.server.rejected.Total() != 1 {
				t.Errorf("said %q, logged %q", said, lines)
			}
		})
	}
}

// TestB3_HandshakeSize fills the handshake to its last byte, and one more, and
// nests it as deeply as fits.
func TestB3_HandshakeSize(t *testing.T) {
	const head, tail = `{"MagicNumber":3927900,"CodecType":"application/gob","Ack":true`, `}`
	blanks := func(n int) string { return head + strings.Repeat(" ", n-len(head)-len(tail)) + tail }
	deep := (handshake.MaxBytes - len(head) - len(`,"x":1}`)) / 2
	cases := []struct {
		name, hello string
		ok, answer  bool
	}{
		{"4096 bytes", blanks(handshake.MaxBytes), true, true},
		{"4097 bytes", blanks(handshake.MaxBytes + 1), false, false},
		{"deep arrays", head + `,"x":` + strings.Repeat("[", deep) + "1" + strings.Repeat("]", deep) + tail, true, true},
		{"deep objects without end", head + strings.Repeat(`,"x":{"y":1`, 1000), false, false},
		{"brackets that don't match", head + `,"x":[}]}`, false, false},
		{"another type of field", `{"MagicNumber":"x","Ack":true}`, false, true},
		{"another type of field, no answer asked for", `{"MagicNumber":"x"}`, false, false},
		{"duplicate keys: the last counts", `{"MagicNumber":1,"CodecType":"x",` + head[1:] + tail, true, true},
		{"braces in strings", head + `,"x":"}\"}{"` + tail, true, true},
		{"bad UTF-8", head + ",\"x\":\"\xff\xfe\"" + tail, true, true},
		{"blanks in front", " \r\n\t" + head + tail, true, true},
		{"not an object", `"text"`, false, false},
		{"TLS", "\x16\x03\x01\x02\x00\x01", false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := newEnv(t, "tcp", codec.GobType).unsaid()
			var wg sync.WaitGroup
			wg.Go(func() { io.WriteString(conn, c.hello) })
			defer wg.Wait()
			if !c.answer {
				if said := expectClosed(t, conn); said != "" {
					t.Errorf("answer is %q", said)
				}
				return
			}
			var answer handshake.Ack
			if hearLine(t, conn, &answer); answer.OK != c.ok {
				t.Errorf("answer is %+v", answer)
			}
		})
	}
}

// A forgedConn changes what a client says in its hello.
type forgedConn struct {
	net.Conn
	old, new string
	done     bool
}

func (c *forgedConn) Write(p []byte) (int, error) {
	if !c.done {
		c.done = true
		if _, err := c.Conn.Write(bytes.Replace(p, []byte(c.old), []byte(c.new), 1)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// TestA8_ToldWhy has our own client say what the server can't accept: Dial
// returns the reason. Others who asked get it as well (B4), and those who did
// not ask are hung up on.
func TestA8_ToldWhy(t *testing.T) {
	cases := []struct {
		name, old, new string
		code           Code
		says           string
	}{
		{"magic", "3927900", "3927901", CodeInvalidArgument, "invalid magic number 0x3bef5d"},
		{"codec", "application/gob", "application/bog", CodeInvalidArgument, `invalid codec type "application/bog"`},
		{"version", `"Version":1`, `"Version":2`, CodeUnimplemented, "protocol version 2"},
		{"token", `"Token":"secret"`, `"Token":"Secret"`, CodeUnauthenticated, "token"},
		{"no token", `"Token":"secret"`, `"Token":""`, CodeUnauthenticated, "token"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.GobType)
			log := new(logCount)
			e.Token, e.Logger = "secret", slog.New(log)
			forge := func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				return &forgedConn{Conn: conn, old: c.old, new: c.new}, err
			}
			_, err := e.tryDial(&Option{Token: "secret", Dialer: forge})
			wantError(t, err, c.code, InServer, RanNever)
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "Secret") {
				t.Errorf("error says %q, want %q", err, c.says)
			}
			e.idle()
			if lines := log.all(); len(lines) != 1 || strings.Contains(strings.ToLower(lines[0]), "secret") {
				t.Errorf("logged %q", lines)
			}
			quiet := e.unsaid() // an old client: it does not ask, and has no token
			sayLine(t, quiet, map[string]any{"MagicNumber": MagicNumber, "CodecType": "application/gob"})
			if said := expectClosed(t, quiet); said != "" {
				t.Errorf("one who did not ask is told %q", said)
			}
		})
	}
	_, err := Dial("tcp", "127.0.0.1:1", &Option{CodecType: "no/such"})
	if err == nil {
		t.Error("a codec that the client does not have")
	}
}

// TestA8_OldPeersAreHungUpOn checks that who did not ask is told nothing.
func TestA8_OldPeersAreHungUpOn(t *testing.T) {
	for _, line := range []string{`{"MagicNumber":1,"CodecType":"application/gob"}`, `{"MagicNumber":3927900,"CodecType":"no/such"}`, `{}`} {
		conn := newEnv(t, "tcp", codec.GobType).unsaid()
		io.WriteString(conn, line)
		if said := expectClosed(t, conn); said != "" {
			t.Errorf("%s: told %q", line, said)
		}
	}
}

// deafPipe is a Dialer to a server that reads and never answers, and is
// reached only after delay.
func deafPipe(delay time.Duration) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		near, far := net.Pipe()
		go func() { // ends when the client closes
			io.Copy(io.Discard, far)
			far.Close()
		}()
		return near, nil
	}
}

// TestA18_ConnectTimeout connects to servers that answer nothing. Dial takes as
// long as it was given, all stages together, and leaves no goroutine: the
// bubble would not end.
func TestA18_ConnectTimeout(t *testing.T) {
	cases := []struct {
		name, addr string
		delay      time.Duration
		option     Option
		names      bool // Legacy, as a way out
	}{
		{"B7 no acknowledgement", "pipe@x", 0, Option{}, true},
		{"slow connect, no acknowledgement", "pipe@x", 6 * time.Second, Option{}, true},
		{"connect hangs", "pipe@x", time.Hour, Option{}, false},
		{"TLS hangs", "tls@x", 6 * time.Second, Option{}, false},
		{"CONNECT hangs", "http@x", 6 * time.Second, Option{}, false},
		{"https hangs", "https@x", 6 * time.Second, Option{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opt := Option{ConnectTimeout: 10 * time.Second, Dialer: deafPipe(c.delay)}
				start := time.Now()
				_, err := XDial(c.addr, &opt)
				if took := time.Since(start); took != 10*time.Second {
					t.Errorf("took %v", took)
				}
				wantError(t, err, CodeDeadlineExceeded, OnLink, RanNever)
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connect timeout") ||
					strings.Contains(err.Error(), "Legacy") != c.names {
					t.Errorf("error is %v", err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start = time.Now()
				_, err = XDialContext(ctx, c.addr, &opt)
				if took := time.Since(start); took != time.Second || !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled: took %v, %v", took, err)
				}
				wantError(t, err, CodeCanceled, OnLink, RanNever)
			})
		})
	}
}

// TestB7_HungUpOn has a server close at once, as GeeRPC's does when it does not
// like the Option, or answer what is no acknowledgement.
func TestB7_HungUpOn(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "half a line": `{"OK":tr`, "noise": "\x00\x01\x02\n", "a page": "HTTP/1.1 400 Bad Request\r\n\r\n",
		"a wrong type": `{"OK":"yes"}` + "\n", "without end": `{"OK":"` + strings.Repeat("y", 2*handshake.MaxBytes)} {
		addr := double(t, func(conn net.Conn) {
			var h handshake.Hello
			hearLine(t, conn, &h)
			io.WriteString(conn, answer)
		})
		_, err := Dial("tcp", addr, &Option{ConnectTimeout: patient})
		if CodeOf(err) != CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
		if name == "nothing" && (!strings.Contains(err.Error(), "net/rpc") || strings.Contains(err.Error(), "Legacy")) { // which would not help
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Dial("tcp", "127.0.0.1:0", nil)
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
}

// TestA17_SharedOption dials many times with one Option. The race detector sees
// a Dial that changes it.
func TestA17_SharedOption(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	e.start()
	shared := &Option{CodecType: "", ConnectTimeout: patient, HandleTimeout: -1}
	before := *shared
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			client, err := Dial("tcp", e.lis.Addr().String(), shared)
			if err != nil {
				t.Error(err)
				return
			}
			mustAdd(t, client)
			client.Close()
		})
	}
	wg.Wait()
	if !reflect.DeepEqual(before, *shared) {
		t.Errorf("the option was changed: %+v", *shared)
	}
}

// TestAck_OfOthers is the acknowledgement of a server that somebody else wrote:
// it may leave out a code, and say "no limit" as our fields do.
func TestAck_OfOthers(t *testing.T) {
	dial := func(answer string) (*Client, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		go func() { // ends with the connection
			lines := bufio.NewReader(far)
			lines.ReadBytes('\n')
			io.WriteString(far, answer+"\n")
			lines.ReadByte() // of the call
			far.Write(handFrame{kind: codec.Reply, seq: 1, body: "7"}.bytes())
		}()
		return NewClient(near, &Option{CodecType: framedJSON, ConnectTimeout: 10 * time.Second})
	}
	if _, err := dial(`{"OK":false,"Error":"not today"}`); CodeOf(err) != CodeUnknown {
		t.Errorf("refused without a code: %v, code %v", err, CodeOf(err))
	}
	client, err := dial(`{"OK":true,"MaxMessageBytes":-1,"MaxInFlight":-1}`)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var reply int
	if err := client.Call(ctx, "Any.Method", 1, &reply); err != nil || reply != 7 {
		t.Errorf("without limits: %d, %v", reply, err)
	}
}

// A token that can't arrive as it is is refused where it is set.
func TestE48_UnfitToken(t *testing.T) {
	for name, token := range map[string]string{"long": strings.Repeat("x", handshake.MaxBytes), "not text": "\xff\xfe\x01"} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", codec.GobType)
			e.Token = token
			_, err := e.tryDial(&Option{Token: token})
			wantError(t, err, CodeInvalidArgument, InClient, RanNever)
		})
	}
}
