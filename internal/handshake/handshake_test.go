package handshake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// newLink returns a link over conn that ends with the test.
func newLink(t *testing.T, conn net.Conn, c link.Config) *link.Link {
	t.Helper()
	c.Report = func(slog.Level, string, ...any) {}
	l := link.New(conn, c)
	if err := l.Open(codec.NewGobCodec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Fail(net.ErrClosed)
		l.Close()
	})
	return l
}

// linked returns both ends of a connection.
func linked(t *testing.T) (client, server *link.Link) {
	near, far := net.Pipe()
	client = newLink(t, near, link.Config{MaxRead: 1000})
	return client, newLink(t, far, link.Config{MaxRead: 2000, MaxDefinitions: codec.DefaultMaxDefinitionBytes})
}

// readHello waits for a hello as a server does.
func readHello(l *link.Link) (*Hello, error) {
	if err := Await(l, time.Minute); err != nil {
		return nil, err
	}
	defer CloseAfterTimeout(l)()
	return ReadHello(l)
}

// Both sides shake hands: each knows the other's limits afterwards, and the extended
// layout is in force.
func TestHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := linked(t)
		go func() {
			h, err := readHello(server)
			if err != nil || h.MagicNumber != MagicNumber || h.Version != Version || !h.Ack || h.Token != "secret" {
				t.Errorf("hello is %+v, %v", h, err)
				return
			}
			h.Apply(server)
			if err := Accept(server, Ack{MaxInFlight: 7}); err != nil {
				t.Error(err)
			}
			server.Say([]byte{0}) // the first byte of a message: Client waits for it
		}()
		a, err := Client(t.Context(), client, Hello{CodecType: codec.GobType, Token: "secret"})
		if err != nil || !a.OK || a.MaxInFlight.Int() != 7 {
			t.Fatalf("acknowledgement is %+v, %v", a, err)
		}
		synctest.Wait()
		for _, l := range []*link.Link{client, server} {
			if !l.Extended() || !l.PeerHandles(codec.Goaway) {
				t.Error("the extended layout is not in force")
			}
		}
		if c, s := client.Wire, server.Wire; c.MaxWrite != 2000 || s.MaxWrite != 1000 ||
			c.MaxWriteDefinitions != codec.DefaultMaxDefinitionBytes || s.MaxWriteDefinitions != 0 {
			t.Errorf("limits are %d, %d and %d, %d", c.MaxWrite, s.MaxWrite, c.MaxWriteDefinitions, s.MaxWriteDefinitions)
		}
		if rest := client.In.Buffered(); !bytes.Equal(rest, []byte{0}) {
			t.Errorf("behind the acknowledgement is %q", rest)
		}
	})
}

// A client learns the code and the text of a refusal.
func TestHandshake_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := linked(t)
		go func() {
			if _, err := readHello(server); err != nil {
				t.Error(err)
			}
			Refuse(server, 8, "full")
		}()
		_, err := Client(t.Context(), client, Hello{CodecType: codec.GobType})
		var e *Error
		if !errors.As(err, &e) || *e != (Error{Refused, 8, "full"}) {
			t.Errorf("%#v", err)
		}
	})
}

// The context's end closes the link, and its cause is the error.
func TestHandshake_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := linked(t)
		go io.Copy(io.Discard, server.Conn) // ends with the connection
		ctx, cancel := WithTimeout(t.Context())
		defer cancel()
		start := time.Now()
		_, err := Client(ctx, client, Hello{CodecType: codec.GobType})
		if took := time.Since(start); !errors.Is(err, ErrTimeout) || took != Timeout {
			t.Errorf("%v after %v", err, took)
		}
		limited, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		own, cancel := WithTimeout(limited)
		defer cancel()
		if deadline, _ := own.Deadline(); time.Until(deadline) != time.Hour {
			t.Errorf("a deadline of the caller's became %v", deadline)
		}
	})
}

// White space fills a hello up, and leaves what it says.
func TestPadded(t *testing.T) {
	for _, object := range []string{`{"MagicNumber":7}`, `{"MagicNumber":7,"Token":"` + strings.Repeat("x", oldReadBytes-28) + `"}`} {
		text := padded([]byte(object))
		var h Hello
		if err := json.Unmarshal(text, &h); len(text) != oldReadBytes || err != nil || h.MagicNumber != 7 || text[oldReadBytes-1] != '}' {
			t.Errorf("%q, %v", text, err)
		}
	}
}

// A scriptedConn is a connection on which the peer has sent all it is going to send.
type scriptedConn struct {
	net.Conn
	sent *bytes.Reader
}

func (c scriptedConn) Read(p []byte) (int, error)  { return c.sent.Read(p) }
func (c scriptedConn) Write(p []byte) (int, error) { return len(p), nil }

// scripted returns a link whose peer sends data and hangs up.
func scripted(t *testing.T, data []byte) *link.Link {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	return newLink(t, scriptedConn{far, bytes.NewReader(data)}, link.Config{})
}

// FuzzHello has a server read what anybody may send in place of a hello: it takes one
// object, and nothing behind it.
func FuzzHello(f *testing.F) {
	f.Add([]byte(`{"MagicNumber":3927900,"CodecType":"application/gob","Version":1,"Ack":true,"MaxMessageBytes":1e6}` + "\n"))
	f.Add([]byte(" \r\n\t{\"CodecType\":7}{"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := scripted(t, data)
		h, err := readHello(l)
		if err != nil && !errors.As(err, new(*Error)) {
			return
		}
		rest, _ := io.ReadAll(l.In)
		object, ok := bytes.CutSuffix(data, rest)
		if !ok || len(object) > MaxBytes || !json.Valid(object) {
			t.Errorf("took %q of %q, and left %q", object, data, rest)
		}
		if h.MaxMessageBytes.Int() < 0 {
			t.Errorf("limit of %d", h.MaxMessageBytes.Int())
		}
	})
}

// FuzzAck has a client read what anybody may answer to its hello.
func FuzzAck(f *testing.F) {
	f.Add([]byte(`{"OK":true,"Version":1,"Extended":true,"Kinds":["call","ping"],"MaxInFlight":-1}` + "\n\x00"))
	f.Add([]byte(`{"OK":false,"Code":8,"Error":"full"}`))
	f.Add([]byte("\x15\x03\x01\x00\x02\x02\x0a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := scripted(t, data)
		a, err := Client(t.Context(), l, Hello{CodecType: codec.GobType})
		if err == nil && (a == nil || !a.OK || l.Wire.MaxWrite < 0 || l.Wire.MaxWriteDefinitions < 0) {
			t.Errorf("%q is taken as %+v", data, a)
		}
	})
}
