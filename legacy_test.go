package geerpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"geerpc/codec"
)

// oldHeader is the header of GeeRPC's wire, as a client of its own has it.
type oldHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// optionLine is what a program written for GeeRPC opens a connection with.
func optionLine(t testing.TB) []byte {
	t.Helper()
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(DefaultOption); err != nil {
		t.Fatal(err)
	}
	return line.Bytes()
}

// oldCalls is the bytes of calls of Arith.Add, with seq 0, 1 and so on.
func oldCalls(t testing.TB, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := gob.NewEncoder(&out)
	for i := range n {
		if err := enc.Encode(oldHeader{ServiceMethod: "Arith.Add", Seq: uint64(i)}); err != nil {
			t.Fatal(err)
		}
		if err := enc.Encode(Args{i, 1}); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// expectOldReplies reads the replies to oldCalls.
func expectOldReplies(t testing.TB, conn io.Reader, n int) {
	t.Helper()
	dec := gob.NewDecoder(conn)
	seen := make(map[uint64]bool)
	for range n {
		var h oldHeader
		var reply Reply
		if err := dec.Decode(&h); err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&reply); err != nil {
			t.Fatal(err)
		}
		if h.Error != "" || seen[h.Seq] || h.Seq >= uint64(n) || reply.C != int(h.Seq)+1 || h.ServiceMethod != "Arith.Add" {
			t.Fatalf("reply %+v %+v", h, reply)
		}
		seen[h.Seq] = true
	}
}

// TestA1_OldClient has a client of the old wire served, however its bytes
// arrive. Once the JSON decoder swallowed what came along with the Option.
func TestA1_OldClient(t *testing.T) {
	option := optionLine(t)
	bare := bytes.TrimSuffix(option, []byte{'\n'})
	padded := append(append(bytes.Clone(bare[:len(bare)-1]), strings.Repeat(" ", legacyBytes-len(bare))...), '}')
	cases := []struct {
		name   string
		option []byte
		pieces int // of so many bytes are sent at a time; 0: all at once
	}{
		{"line in one segment", option, 0},
		{"no newline, in one segment", bare, 0},
		{"512 bytes, in one segment", padded, 0},
		{"line byte by byte", option, 1},
		{"no newline, byte by byte", bare, 1},
		{"line by sevens", option, 7},
	}
	for _, transport := range transports {
		for _, c := range cases {
			t.Run(transport+"/"+c.name, func(t *testing.T) {
				conn := newEnv(t, transport, codec.GobType).unsaid()
				all := append(bytes.Clone(c.option), oldCalls(t, 3)...)
				var wg sync.WaitGroup
				wg.Go(func() {
					size := c.pieces
					if size == 0 {
						size = len(all)
					}
					for len(all) > 0 {
						n := min(size, len(all))
						if _, err := conn.Write(all[:n]); err != nil {
							t.Error(err)
							return
						}
						all = all[n:]
					}
				})
				expectOldReplies(t, conn, 3)
				wg.Wait()
			})
		}
	}
}

// TestLegacy_OldClientStaysOnTheOldWire checks that a client which did not ask
// gets no acknowledgement, no control message and no header field of ours, and
// that its errors are in the text.
func TestLegacy_OldClientStaysOnTheOldWire(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	conn := e.unsaid()
	var sent bytes.Buffer
	sent.Write(optionLine(t))
	enc := gob.NewEncoder(&sent)
	enc.Encode(oldHeader{ServiceMethod: "Arith.Div", Seq: 7})
	enc.Encode(Args{1, 0})
	enc.Encode(oldHeader{ServiceMethod: "Arith.Nothing", Seq: 8})
	enc.Encode("a body of another type")
	if _, err := conn.Write(sent.Bytes()); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	dec := gob.NewDecoder(iotest.OneByteReader(io.TeeReader(conn, &raw)))
	want := map[uint64]string{7: "100% of load: division by zero", 8: "rpc server: can't find method Nothing of service Arith"}
	for range 2 {
		var h oldHeader
		if err := dec.Decode(&h); err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&struct{}{}); err != nil {
			t.Fatal(err)
		}
		if h.Error != want[h.Seq] || h.Error == "" {
			t.Errorf("seq %d: %q, want %q", h.Seq, h.Error, want[h.Seq])
		}
		delete(want, h.Seq)
	}
	for _, field := range []string{"Kind", "Metadata", "Code", "Ran", "OK"} {
		if bytes.Contains(raw.Bytes(), []byte(field)) {
			t.Errorf("the old wire carries a field %s", field)
		}
	}
}

// TestLegacy_DefaultOptionJSON checks the four old fields, and no more.
func TestLegacy_DefaultOptionJSON(t *testing.T) {
	const want = `{"MagicNumber":3927900,"CodecType":"application/gob","ConnectTimeout":10000000000,"HandleTimeout":0}` + "\n"
	if got := string(optionLine(t)); got != want {
		t.Errorf("DefaultOption is\n%swant\n%s", got, want)
	}
}

// serveOld serves a connection as GeeRPC's server does: a JSON decoder on the
// connection, whose buffer is forgotten, and then gob on the connection. It
// answers a method that it can't find without reading the body, and goes on.
func serveOld(conn net.Conn) {
	var opt struct {
		MagicNumber   int
		CodecType     string
		HandleTimeout time.Duration
	}
	if json.NewDecoder(conn).Decode(&opt) != nil || opt.MagicNumber != MagicNumber || opt.CodecType != string(codec.GobType) {
		return
	}
	dec, out := gob.NewDecoder(conn), bufio.NewWriter(conn)
	enc := gob.NewEncoder(out)
	for {
		var h oldHeader
		var args Args
		if dec.Decode(&h) != nil {
			return
		}
		var reply any = struct{}{}
		switch {
		case !strings.Contains(h.ServiceMethod, "."):
			h.Error = "rpc server: service/method request ill-formed: " + h.ServiceMethod
		case h.ServiceMethod != "Arith.Add":
			h.Error = "rpc server: can't find method"
		case dec.Decode(&args) != nil:
			return
		default:
			reply = Reply{args.A + args.B}
		}
		if enc.Encode(h) != nil || enc.Encode(reply) != nil || out.Flush() != nil {
			return
		}
	}
}

// TestA1_LegacyDialAndCallAtOnce calls an old server right behind the
// handshake, 300 times of 300. Of a client that doesn't pad its Option the old
// server loses the first call if both arrive together; the first half of the
// test shows that its double does, too.
func TestA1_LegacyDialAndCallAtOnce(t *testing.T) {
	t.Run("double loses a call behind a short option", func(t *testing.T) {
		server, client := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { serveOld(server); server.Close() })
		client.SetDeadline(time.Now().Add(patient))
		client.Write(append(optionLine(t), oldCalls(t, 1)...))
		one := gob.NewEncoder(client)
		one.Encode(oldHeader{ServiceMethod: "Arith.Add", Seq: 1})
		one.Encode(Args{1, 1})
		var h oldHeader
		if err := gob.NewDecoder(client).Decode(&h); err != nil || h.Seq == 0 {
			t.Errorf("the double is no old server: it answered %+v, %v", h, err)
		}
		client.Close()
		wg.Wait()
	})
	addr := double(t, serveOld)
	for i := range 300 {
		client, err := Dial("tcp", addr, &Option{Legacy: true, ConnectTimeout: patient})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		var reply Reply
		if err := client.Call(ctx, "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
			t.Fatalf("call %d: %d, %v", i, reply.C, err)
		}
		if i == 0 {
			err := client.Call(ctx, "Arith.Sub", Args{1, 1}, &reply)
			wantError(t, err, CodeUnknown, InServer, RanMaybe)
		}
		cancel()
		client.Close()
	}
}

// TestLegacy_OptionIsOneWriteOf512Bytes checks what a legacy client sends
// before its first call.
func TestLegacy_OptionIsOneWriteOf512Bytes(t *testing.T) {
	server, end := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		client, err := NewClient(end, &Option{Legacy: true, HandleTimeout: time.Minute, CodecType: codec.JsonType})
		if err != nil {
			t.Error(err)
			return
		}
		client.Close()
	})
	buf := make([]byte, 2*legacyBytes)
	n, err := server.Read(buf) // on a pipe, one read takes one write at most
	if err != nil || n != 512 || buf[511] != '}' {
		t.Fatalf("first write is %d bytes: %v, %q", n, err, buf[:n])
	}
	var fields map[string]any
	if err := json.Unmarshal(buf[:n], &fields); err != nil {
		t.Fatal(err)
	}
	if len(fields) != 4 || fields["HandleTimeout"] != float64(time.Minute) || fields["CodecType"] != string(codec.JsonType) {
		t.Errorf("option is %v", fields)
	}
	if rest := expectClosed(t, server); rest != "" {
		t.Errorf("%q behind the option", rest)
	}
	wg.Wait()
	_, err = NewClient(server, &Option{Legacy: true, CodecType: longCodec})
	wantError(t, err, CodeInvalidArgument, InClient, RanNever)
}

// longCodec has a name that does not fit the legacy handshake.
var longCodec = codec.Type("test/" + strings.Repeat("long", 128))

func init() { codec.Register(longCodec, codec.NewGobCodec) }

// TestLegacy_EachCall lets our client and our server meet on the old wire.
func TestLegacy_EachCall(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(&Option{Legacy: true})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				var reply Reply
				if err := client.Call(context.Background(), "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
					t.Errorf("Add(%d, 1) = %d, %v", i, reply.C, err)
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(5*time.Millisecond, cancel)
		wantError(t, client.Call(ctx, "Arith.Block", Args{}, nil), CodeCanceled, OnLink, RanMaybe)
	})
}

// TestA110_WhatProgramsMayNotice checks what README says of errors and sizes
// that differ from GeeRPC's.
func TestA110_WhatProgramsMayNotice(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	inFlight := func() (*Client, chan error) {
		client, ended := e.dial(nil), make(chan error, 1)
		go func() { ended <- client.Call(t.Context(), "Arith.Block", Args{}, nil) }()
		eventually(t, "the call is in flight", func() bool { return client.inFlight.Len() == 1 })
		return client, ended
	}
	client, ended := inFlight()
	client.Close()
	if err := <-ended; err == ErrShutdown || !errors.Is(err, ErrShutdown) {
		t.Errorf("in flight at Close: %v", err)
	}
	if err := client.Call(t.Context(), "Arith.Add", Args{}, nil); err != ErrShutdown {
		t.Errorf("after Close: %v", err)
	}
	large := e.unsaid() // an old client
	var sent bytes.Buffer
	sent.Write(optionLine(t))
	enc := gob.NewEncoder(&sent)
	enc.Encode(oldHeader{ServiceMethod: "Arith.Add", Seq: 1})
	enc.Encode(strings.Repeat("x", 5<<20))
	large.Write(sent.Bytes())
	if said := expectClosed(t, large); said != "" {
		t.Errorf("to a message of 5 MiB the server says %q", said)
	}
	client, ended = inFlight()
	e.Close()
	if err := <-ended; err == io.ErrUnexpectedEOF || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrShutdown) {
		t.Errorf("in flight when the connection breaks: %v", err)
	}
	eventually(t, "the client has noticed", func() bool { return !client.IsAvailable() })
	if err := client.Call(t.Context(), "Arith.Add", Args{}, nil); err != ErrShutdown {
		t.Errorf("after that: %v", err)
	}
}
