package opening

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"geerpc/internal/link"
	"geerpc/internal/wire"
)

// netRPCStart is what a client of net/rpc sends first.
func netRPCStart() string {
	var b bytes.Buffer
	gob.NewEncoder(&b).Encode(rpc.Request{ServiceMethod: "Arith.Add"})
	return b.String()
}

// gobWithManyTypes is the same in a program that has used other types before.
const gobWithManyTypes = "\x30\xfe\x02\x01\x03\x01\x01\x07Request"

// openings have, beside the protocol, how many bytes it takes to know it; 0: the end of
// the stream.
var openings = []struct {
	begins string
	want   Protocol
	bytes  int
}{
	{netRPCStart(), NetRPC, 2},
	{gobWithManyTypes, NetRPC, 2},
	{"A\xff\x81\x03\x01\x01\x01Q", NetRPC, 2},
	{"{\xff\x81\x03\x01\x01\x01Q", NetRPC, 2},
	{"\x16\xff\x81\x03\x01\x01\x01Q", NetRPC, 2},
	{"\x16\x03\x01\x02\x00\x01", TLS, 2},
	{"\x16\x05\x01\x02\x00\x01", Unknown, 2},
	{"GET / HTTP/1.1\r\n\r\n", HTTP, 2},
	{"PRI * HTTP/2.0\r\n\r\n", HTTP, 2},
	{"M-SEARCH * HTTP/1.1\r\n", HTTP, 2},
	{"get / HTTP/1.1\r\n", Unknown, 2},
	{`{"MagicNumber":3927900}`, Hello, 14},
	{`{"magicnumber":3927900}`, Hello, 14},
	{" \r\n\t{\"CodecType\":\"x\",\"MagicNumber\":3927900}", Hello, 0},
	{`{"Token":{"jsonrpc":"2.0","method":1},"MagicNumber":1}`, Hello, 0},
	{`{}`, Hello, 2},
	{`{"a":1}`, Hello, 7},
	{`{"a" 1}`, Hello, 6},
	{`{"a":` + strings.Repeat(" ", maxKeys), Hello, maxKeys},
	{`{"jsonrpc":"2.0","method":"a"}`, JSONRPC, 10},
	{`{"method":"Arith.Add","params":[{}],"id":0}`, JSONRPC, 9},
	{`{"Method":"Arith.Add"}`, JSONRPC, 9},
	{`{"extra":{"MagicNumber":1},"params":[1`, JSONRPC, 35},
	{`{"id":1`, JSONRPC, 5},
	{`[]`, JSONRPC, 2},
	{` [1`, JSONRPC, 2},
	{"\n\n\n[1", JSONRPC, 4},
	{`"text"`, Unknown, 2},
	{"  7", Unknown, 3},
	{"ssh-2.0", Unknown, 2},
	{"\x00", Unknown, 1},
	{"\x80", Unknown, 1},
}

// Each protocol is known by its first bytes, and by no more of them than it takes.
func TestOf(t *testing.T) {
	for _, o := range openings {
		got, known := Of([]byte(o.begins))
		if got != o.want || !known {
			t.Errorf("%.40q: %v, %v, want %v", o.begins, got, known, o.want)
		}
		for n := range min(len(o.begins), o.bytes) {
			if early, known := Of([]byte(o.begins[:n])); known {
				t.Errorf("%.40q is known as %v by %d bytes", o.begins, early, n)
			}
		}
		if o.bytes == 0 {
			continue
		}
		if got, known := Of([]byte(o.begins[:o.bytes])); got != o.want || !known {
			t.Errorf("%.40q is not known by %d bytes: %v, %v", o.begins, o.bytes, got, known)
		}
	}
}

// What has been recognized has not been read, however it arrives.
func TestRecognize(t *testing.T) {
	for _, o := range openings {
		for name, stream := range map[string]io.Reader{"at once": strings.NewReader(o.begins), "byte by byte": iotest.OneByteReader(strings.NewReader(o.begins))} {
			in := wire.NewReader(stream)
			got, which, err := Recognize(in, []string{"\x01\x02\x03", "\xff"})
			rest, _ := io.ReadAll(in)
			if got != o.want || which != -1 || err != nil || string(rest) != o.begins {
				t.Errorf("%.40q %s: %v, %d, %v, rest %.40q", o.begins, name, got, which, err, rest)
			}
		}
	}
	for begins, want := range map[string]error{"": io.EOF, "{": io.ErrUnexpectedEOF, "G": io.ErrUnexpectedEOF, `{"MagicNu`: io.ErrUnexpectedEOF} {
		if got, _, err := Recognize(wire.NewReader(strings.NewReader(begins)), nil); got != Unknown || err != want {
			t.Errorf("%q: %v, %v, want %v", begins, got, err, want)
		}
	}
}

// Other protocols are found by what they begin with, and nothing waits longer for them
// than it takes to know that it is not one of them.
func TestRecognize_Others(t *testing.T) {
	prefixes := []string{"\x01\x02\x03", "\xfe", "GEE"}
	for _, c := range []struct {
		begins string
		want   Protocol
		which  int
		bytes  int
	}{
		{"\x01\x02\x03\x04", Other, 0, 3},
		{"\x01\x02\x04", Unknown, -1, 3},
		{"\x01\x03", Unknown, -1, 2},
		{"\xfe", Other, 1, 1},
		{"GEE", Other, 2, 3},
		{"GET /", HTTP, -1, 3},
	} {
		in := wire.NewReader(iotest.OneByteReader(strings.NewReader(c.begins)))
		got, which, err := Recognize(in, prefixes)
		if got != c.want || which != c.which || err != nil || len(in.Buffered()) != c.bytes {
			t.Errorf("%q: %v, %d, %v after %d bytes", c.begins, got, which, err, len(in.Buffered()))
		}
	}
}

// A client that is not served hears so in its own language.
func TestReject(t *testing.T) {
	for begins, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n": "HTTP/1.1 400 This is geerpc without HTTP\r\n",
		"\x16\x03\x01":           `{"OK":false,"Error":"this port has no TLS"}`,
		`{"MagicNumber":1}`:      `{"OK":false,"Code":12,"Error":"this port does not speak`,
		`{"jsonrpc":"2.0"}`:      `{"jsonrpc":"2.0","error":{"code":-32012,"message":"this port does not speak JSON-RPC","data":{"code":"unimplemented","where":"server","ran":"never"}},"id":null}`,
		"\x00":                   "",
	} {
		near, far := net.Pipe()
		l := link.New(far, link.Config{})
		rejected := make(chan error, 1)
		go func() { // ends with the answer
			what, _, _ := Recognize(l.In, nil)
			err := Reject(l, what, 12, "")
			l.Fail(io.EOF)
			l.Close()
			rejected <- err
		}()
		go io.WriteString(near, begins) // ends with the connection
		heard := make([]byte, len(want))
		if _, err := io.ReadFull(near, heard); err != nil || string(heard) != want {
			t.Errorf("%q: heard %q, want %q", begins, heard, want)
		}
		if want == "" {
			io.Copy(io.Discard, near) // until it has been closed
		}
		near.Close()
		if err := <-rejected; err == nil || !strings.Contains(err.Error(), fmt.Sprintf("begins with %q", begins[:min(len(begins), 16)])) {
			t.Errorf("%q: %v", begins, err)
		}
	}
}

// A client of net/rpc hears it as the error of its first call.
func TestReject_NetRPC(t *testing.T) {
	near, far := net.Pipe()
	l := link.New(far, link.Config{})
	rejected := make(chan struct{})
	go func() { // ends with the answer
		defer close(rejected)
		what, _, _ := Recognize(l.In, nil)
		Reject(l, what, 12, "this port wants TLS")
		l.Fail(io.EOF)
		l.Close()
	}()
	client := rpc.NewClient(near)
	if err := client.Call("Arith.Add", 1, new(int)); err != rpc.ServerError("this port wants TLS") {
		t.Errorf("the call failed with %v", err)
	}
	client.Close()
	<-rejected
}

func TestGuess(t *testing.T) {
	for begins, want := range map[string]string{"GET /": "an HTTP request", `{"Mag`: "a client of geerpc or JSON-RPC", "\x16\x03\x01\x02\x00": "a TLS handshake",
		netRPCStart()[:5]: "a net/rpc client", "ssh-2": "", "\x00": ""} {
		if got := Guess([]byte(begins)); got != want {
			t.Errorf("%q: %q, want %q", begins, got, want)
		}
	}
}

// FuzzRecognize: what a connection begins like does not depend on how it arrives, and no
// more is read of it than two bytes, or the keys of an object.
// An opening that comes byte by byte costs as much as it is long, not the square of that:
// it is measured in bytes that are allocated, because times say little.
func TestRecognize_ByteByByte(t *testing.T) {
	allocated := func(n int) uint64 {
		text := "{" + strings.Repeat(`"a":1,`, n/6) + strings.Repeat(" ", n%6-1)
		in := wire.NewReader(iotest.OneByteReader(strings.NewReader(text + `"id":1}`)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if p, _, err := Recognize(in, nil); p != JSONRPC || err != nil {
			t.Errorf("%v, %v", p, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if short, long := allocated(400), allocated(4000); long > 20*short {
		t.Errorf("400 bytes cost %d, ten times as many %d", short, long)
	}
}

func FuzzRecognize(f *testing.F) {
	for _, o := range openings {
		f.Add([]byte(o.begins))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := wire.NewReader(bytes.NewReader(data))
		want, _, wantErr := Recognize(whole, nil)
		slow := wire.NewReader(iotest.OneByteReader(bytes.NewReader(data)))
		got, _, err := Recognize(slow, nil)
		if got != want || err != wantErr {
			t.Fatalf("at once %v, %v, byte by byte %v, %v", want, wantErr, got, err)
		}
		seen := len(slow.Buffered())
		if json := got == Hello || got == JSONRPC; err == nil && (seen > maxKeys || !json && seen > 2 && !strings.Contains(" \t\r\n", string(data[:1]))) {
			t.Errorf("%v took %d bytes", got, seen)
		}
		if rest, _ := io.ReadAll(slow); !bytes.Equal(rest, data) {
			t.Error("bytes were lost")
		}
	})
}

// BenchmarkRecognize is what it costs a connection to be recognized.
func BenchmarkRecognize(b *testing.B) {
	for name, begins := range map[string]string{
		"geerpc":  `{"MagicNumber":3927900,"CodecType":"application/gob","ConnectTimeout":10000000000,"HandleTimeout":0,"Version":1,"Ack":true}`,
		"net/rpc": netRPCStart(), "JSON-RPC": `{"jsonrpc":"2.0","method":"Arith.Add","params":{"A":1,"B":2},"id":1}`, "HTTP": "GET / HTTP/1.1\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			first := []byte(begins)
			for b.Loop() {
				if p, known := Of(first); !known || p == Unknown {
					b.Fatal(p)
				}
			}
		})
	}
}
