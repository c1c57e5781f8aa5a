package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"geerpc/codec"
	"geerpc/internal/codes"
	"geerpc/internal/wire"
)

const one = `{"jsonrpc":"2.0","method":"sum","id":1}`

// batchOf returns a batch of n requests.
func batchOf(n int, request string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(request+",", n), ",") + "]"
}

// TestJSONRPCServer_TooLarge sends messages around the size limit. One that is too large
// is answered, and ends the stream.
func TestJSONRPCServer_TooLarge(t *testing.T) {
	for _, request := range []string{one, batchOf(3, one), strings.Repeat(" ", 100), "{\n"} {
		for _, more := range []int{0, 1} {
			c := layout{"", codec.NewJSONRPCServer}.reader(strings.NewReader(request+one), len(request)-more)
			var h codec.Header
			if err := c.ReadHeader(&h); err != nil {
				t.Fatal(err)
			}
			if more == 0 && strings.HasSuffix(request, "}") && h.Error != "" {
				t.Errorf("%s is refused: %s", request, h.Error)
			}
			if more == 0 {
				continue
			}
			if h.Error == "" || h.Frame().Code != codes.ResourceExhausted || c.ReadBody(nil) != nil {
				t.Errorf("a message that is too large became %+v", h)
			}
			if err := c.ReadHeader(&h); err != io.EOF {
				t.Errorf("behind it: %v", err)
			}
		}
	}
}

// The answer to a message that is too large has the number of an invalid request.
func TestJSONRPCServer_TooLargeAnswer(t *testing.T) {
	big := `{"jsonrpc":"2.0","method":"` + strings.Repeat("x", codec.DefaultMaxMessageBytes) + `","id":1}`
	const want = `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: message exceeds the size limit`
	if got := ask(t, strings.NewReader(big+one), false); !strings.HasPrefix(got, want) || !strings.Contains(got, `"resource_exhausted"`) {
		t.Errorf("got %s", got)
	}
}

// An id that is too long does not come back, and is not kept.
func TestJSONRPCServer_LongID(t *testing.T) {
	for _, request := range []string{`{"jsonrpc":"2.0","method":"sum","id":%}`, `{"jsonrpc":"2.0","id":%}`, `{"method":"sum","id":%}`} {
		for length, tooLong := range map[int]bool{1024: false, 1025: true} {
			id := `"` + strings.Repeat("x", length-2) + `"`
			got := ask(t, strings.NewReader(strings.Replace(request, "%", id, 1)), false)
			if refused := strings.HasSuffix(got, `"id":null}`+"\n"); refused != tooLong || strings.Contains(got, id) == tooLong {
				t.Errorf("%s with an id of %d bytes is answered with %s", request, length, got)
			}
		}
	}
}

// TestJSONRPCServer_BatchLimits holds how many requests may be in a batch, and in all of
// them.
func TestJSONRPCServer_BatchLimits(t *testing.T) {
	const refused = `{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"}`
	results := func(n int) string { return batchOf(n, `{"id":1,"jsonrpc":"2.0","result":0}`) }
	for _, together := range []bool{false, true} {
		if got := normal(t, ask(t, strings.NewReader(batchOf(1000, one)+batchOf(1001, one)+one), together)); !strings.Contains(got, results(1000)) ||
			!strings.Contains(got, refused) || strings.Contains(got, results(1001)) {
			t.Errorf("got %.100s", got)
		}
	}
	c := codec.NewJSONRPCServer(half{strings.NewReader(strings.Repeat(batchOf(1000, one), 11) + batchOf(2, one)), io.Discard})
	var seqs []uint64
	for i := range 10_001 {
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil || (i == 10_000) != (h.Frame().Code == codes.ResourceExhausted) {
			t.Fatalf("request %d: %+v, %v", i, h, err)
		}
		seqs = append(seqs, h.Seq)
	}
	for _, seq := range seqs { // once they are answered, there is room again
		if err := c.Write(&codec.Header{Seq: seq}, 0); err != nil {
			t.Fatal(err)
		}
	}
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil || h.Error != "" {
		t.Errorf("when they are answered: %+v, %v", h, err)
	}
}

// answering returns a server that reads some requests of up to 10,000 bytes from a client
// which takes answers of up to most bytes (0: it is not known).
func answering(requests string, most int) *writer {
	return layout{"", func(conn io.ReadWriteCloser) codec.Codec {
		c := conn.(*wire.Conn)
		c.Reader, c.MaxRead = wire.NewReader(strings.NewReader(requests)), 10_000
		return codec.NewJSONRPCServer(c)
	}}.writer(most)
}

// Batches that have been answered take no room.
func TestJSONRPCServer_BatchAfterBatch(t *testing.T) {
	const batches = 20
	c := answering(strings.Repeat(batchOf(1, one), batches), 10_000)
	for range batches {
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(&codec.Header{Seq: h.Seq}, strings.Repeat("x", 6000)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJSONRPCServer_BatchRoom has the answers of batches exceed the size of a message.
// What does not fit is refused, and refusals always fit.
func TestJSONRPCServer_BatchRoom(t *testing.T) {
	const max, calls = 10_000, 100
	for i, size := range []int{0, 10, 1000, 20_000, 1000} {
		w := answering(batchOf(calls, one), max)
		if i%2 == 0 { // it is not known how much the client takes
			w = answering(batchOf(calls, one), 0)
		}
		var refused, most int
		for range calls {
			var h codec.Header
			if err := w.ReadHeader(&h); err != nil {
				t.Fatal(err)
			}
			err := w.Write(&codec.Header{Seq: h.Seq}, strings.Repeat("x", size))
			if err == nil {
				continue
			}
			refused++
			wantIs(t, err, codec.ErrTooLarge)
			long := codec.Header{Seq: h.Seq, Error: strings.Repeat("x", max)}
			long.Frame().Code = codes.ResourceExhausted
			wantIs(t, w.Write(&long, nil), codec.ErrTooLarge) // the core cuts the text
			long.Error = long.Error[:100]
			if err := w.Write(&long, nil); err != nil {
				t.Fatal(err)
			}
			most = max
		}
		var answers []json.RawMessage
		if err := json.Unmarshal(w.out.Bytes(), &answers); err != nil || len(answers) != calls {
			t.Errorf("results of %d bytes: %d answers, %v", size, len(answers), err)
		}
		if (refused > 0) != (size >= 1000) || w.out.Len() > most+calls*512+max {
			t.Errorf("results of %d bytes: %d refused, %d bytes sent", size, refused, w.out.Len())
		}
	}
}

// The answers of a batch don't stay in memory once it has been sent, nor does a large
// request.
func TestJSONRPCServer_KeepsNothing(t *testing.T) {
	request := `[{"jsonrpc":"2.0","method":"echo","params":["` + strings.Repeat("x", 1<<20) + `"],"id":1}] `
	var connections []codec.Codec
	before := heap()
	for range 3 {
		c := codec.NewJSONRPCServer(half{strings.NewReader(request), io.Discard})
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		var text string
		if err := c.ReadBody(&text); err != nil || len(text) != 1<<20 {
			t.Fatal(err)
		}
		if err := c.Write(&codec.Header{Seq: h.Seq}, text); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadHeader(&h); err != io.EOF {
			t.Fatal(err)
		}
		connections = append(connections, c)
	}
	if took := int(heap()) - int(before); took > 256<<10 {
		t.Errorf("%d idle connections keep %d KiB", len(connections), took>>10)
	}
	for _, c := range connections {
		c.Close()
	}
}

// A list of a million numbers costs about as much as it is long, as a batch and as params.
func TestJSONRPCServer_LongLists(t *testing.T) {
	list := batchOf(1_000_000, "1")
	for _, request := range []string{list, `{"jsonrpc":"2.0","method":"x","params":` + list + `,"id":1}`} {
		c := codec.NewJSONRPCServer(half{strings.NewReader(request), io.Discard})
		var err error
		took := allocated(func() {
			if err = c.ReadHeader(new(codec.Header)); err == nil {
				err = c.ReadBody(new(pair))
			}
		})
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%.20s: %v", request, err)
		}
		if took > 6*len(request) { // a buffer that grew, and a copy
			t.Errorf("%.20s: %d bytes were allocated for %d", request, took, len(request))
		}
	}
}

// A value that holds itself, or is too large, concerns its call alone.
func TestJSONRPC_Unfit(t *testing.T) {
	for name, v := range cycles() {
		client := codec.NewJSONRPCClient(half{nil, io.Discard})
		server := codec.NewJSONRPCServer(half{strings.NewReader(one), io.Discard})
		h := codec.Header{ServiceMethod: "x", Seq: 1}
		if err := server.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		for _, c := range []codec.Codec{client, server} {
			if err := c.Write(&h, v); err == nil {
				t.Errorf("%T: %s was encoded", c, name)
			}
			if err := c.Write(&h, 1); err != nil {
				t.Errorf("%T: behind %s: %v", c, name, err)
			}
		}
	}
	w := layout{"", codec.NewJSONRPCClient}.writer(100)
	for size := range 100 {
		w.out.Reset()
		err := w.Write(&codec.Header{ServiceMethod: "x", Seq: 1}, strings.Repeat("x", size))
		if n := w.out.Len(); (err == nil) != (n > 0) || n > 100 || err != nil && !errors.Is(err, codec.ErrTooLarge) {
			t.Errorf("%d: %d bytes, %v", size, n, err)
		}
	}
}

// A stream that is cut anywhere is answered as far as it goes, with one error more.
func TestJSONRPCServer_Cuts(t *testing.T) {
	requests := []string{one, batchOf(2, one), `{"method":"sum","params":[[1]],"id":2}`}
	stream := strings.Join(requests, "")
	for cut := range stream {
		want, rest := 0, stream[:cut]
		for want < len(requests) && strings.HasPrefix(rest, requests[want]) {
			rest = rest[len(requests[want]):]
			want++
		}
		if rest != "" { // a part of the next one
			want++
		}
		got := ask(t, bytes.NewReader([]byte(stream[:cut])), false)
		if n := strings.Count(got, "\n"); n != want {
			t.Errorf("%d bytes: %d answers, want %d: %s", cut, n, want, got)
		}
	}
}

// TestJSONRPC_Silent checks that the constructors neither read nor write, and that
// Close closes.
func TestJSONRPC_Silent(t *testing.T) {
	for name, open := range map[string]codec.NewCodecFunc{"server": codec.NewJSONRPCServer, "client": codec.NewJSONRPCClient, "1.0 client": codec.NewJSONRPC1Client} {
		conn := play([]byte(one))
		c := open(conn).(codec.Extended).Extend().(codec.Extended)
		if c.Ready() || conn.Len() != len(one) {
			t.Errorf("%s: has read or written", name)
		}
		if err := c.Close(); err != nil || !conn.closed {
			t.Errorf("%s: not closed, %v", name, err)
		}
	}
}

// heap returns the bytes that are in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied in two steps
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
