package geerpc

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
)

// writeOnly makes a connection of a buffer, for a codec to write to.
type writeOnly struct{ *bytes.Buffer }

func (writeOnly) Close() error { return nil }

// TestCallBesideOtherMessages sends a call and what follows in one segment. The
// server reads requests that are at hand before it runs them: what follows must
// neither keep the call from running nor overtake it.
func TestCallBesideOtherMessages(t *testing.T) {
	type message struct {
		kind   codec.Kind
		seq    uint64
		method string
	}
	add, block := message{codec.Call, 1, "Arith.Add"}, message{codec.Call, 1, "Arith.Block"}
	for _, c := range []struct {
		name    string
		sent    []message
		replies map[uint64]Code
	}{
		{"ping", []message{add, {codec.Ping, 0, ""}}, map[uint64]Code{1: CodeOK}},
		{"A16, cancel", []message{block, {codec.Cancel, 1, ""}}, map[uint64]Code{1: CodeCanceled}},
		{"cancel of another", []message{add, {codec.Cancel, 7, ""}}, map[uint64]Code{1: CodeOK}},
		{"goaway", []message{add, {codec.Goaway, 0, ""}}, map[uint64]Code{1: CodeOK}},
		{"a kind that nobody knows", []message{add, {15, 0, ""}}, map[uint64]Code{1: CodeOK}},
		{"a call too many", []message{add, {codec.Call, 2, "Arith.Add"}, {codec.Call, 3, "Arith.Add"}},
			map[uint64]Code{1: CodeOK, 2: CodeOK, 3: CodeResourceExhausted}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "tcp", "")
			e.MaxInFlight = 2
			e.start()
			conn := helloTo(t, e)
			segment := writeOnly{new(bytes.Buffer)}
			out := codec.NewGobCodec(segment).(codec.Extended).Extend()
			for _, m := range c.sent {
				h := codec.Header{ServiceMethod: m.method, Seq: m.seq}
				h.Frame().Kind = m.kind
				var body any
				if m.kind == codec.Call {
					body = Args{1, 2}
				}
				if err := out.Write(&h, body); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := conn.Write(segment.Bytes()); err != nil {
				t.Fatal(err)
			}
			in := codec.NewGobCodec(conn).(codec.Extended).Extend()
			for got := map[uint64]bool{}; len(got) < len(c.replies); {
				var h codec.Header
				if err := in.ReadHeader(&h); err != nil {
					t.Fatalf("after replies to %v: %v", got, err)
				}
				if in.ReadBody(nil); h.Frame().Kind != codec.Reply {
					continue
				}
				if want, ok := c.replies[h.Seq]; !ok || got[h.Seq] || Code(h.Frame().Code) != want {
					t.Fatalf("reply to %d: code %v, want %v; %q", h.Seq, Code(h.Frame().Code), want, h.Error)
				}
				got[h.Seq] = true
			}
		})
	}
}

// helloTo connects and shakes hands.
func helloTo(t *testing.T, e *env) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	line, _ := json.Marshal(handshake.Hello{MagicNumber: MagicNumber, CodecType: codec.GobType,
		Version: handshake.Version, Ack: true, Extended: true, Kinds: allKinds})
	if _, err := conn.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, b := []byte(nil), make([]byte, 1)
	for b[0] != '\n' {
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		answer = append(answer, b[0])
	}
	var a handshake.Ack
	if err := json.Unmarshal(answer, &a); err != nil || !a.OK || !a.Extended {
		t.Fatalf("%s, %v", answer, err)
	}
	return conn
}
