package codec_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"geerpc/codec"
	"geerpc/internal/codes"
)

// TestJSONRPCClient_Requests holds what a client writes.
func TestJSONRPCClient_Requests(t *testing.T) {
	tests := []struct {
		args     any
		two, one string // params in each dialect
	}{
		{pair{1, 2}, `,"params":{"A":1,"B":2}`, `,"params":[{"A":1,"B":2}]`},
		{&pair{1, 2}, `,"params":{"A":1,"B":2}`, `,"params":[{"A":1,"B":2}]`},
		{[]int{1, 2}, `,"params":[1,2]`, `,"params":[[1,2]]`},
		{[]int{}, `,"params":[]`, `,"params":[[]]`},
		{map[string]int{}, `,"params":{}`, `,"params":[{}]`},
		{5, `,"params":[5]`, `,"params":[5]`},
		{-5, `,"params":[-5]`, `,"params":[-5]`},
		{"<x>", `,"params":["<x>"]`, `,"params":["<x>"]`},
		{false, `,"params":[false]`, `,"params":[false]`},
		{nil, ``, `,"params":[null]`},
		{(*pair)(nil), ``, `,"params":[null]`},
		{struct{}{}, `,"params":{}`, `,"params":[{}]`},
	}
	for _, test := range tests {
		var out bytes.Buffer
		h := codec.Header{ServiceMethod: `a."b"`, Seq: 18446744073709551615}
		h.Frame().Timeout, h.Frame().Metadata = 5, map[string]string{"k": "v"}
		if err := codec.NewJSONRPCClient(half{nil, &out}).Write(&h, test.args); err != nil {
			t.Error(err)
		}
		if err := codec.NewJSONRPC1Client(half{nil, &out}).Write(&h, test.args); err != nil {
			t.Error(err)
		}
		want := `{"jsonrpc":"2.0","method":"a.\"b\""` + test.two + `,"id":18446744073709551615}` + "\n" +
			`{"method":"a.\"b\""` + test.one + `,"id":18446744073709551615}` + "\n"
		if out.String() != want {
			t.Errorf("%#v became\n%s, want\n%s", test.args, &out, want)
		}
	}
}

// TestJSONRPCClient_Answers reads answers of all sorts, followed by a good one.
func TestJSONRPCClient_Answers(t *testing.T) {
	const maybe, never, yes = 0, 1, 2
	tests := []struct {
		name, answer   string
		seq            uint64 // 0: the answer is nobody's
		err            string // of the reply
		code, where, r uint8
		result         int
	}{
		{"2.0", `{"jsonrpc":"2.0","result":5,"id":7}`, 7, "", 0, 0, 0, 5},
		{"1.0", `{"id":7,"result":5,"error":null}`, 7, "", 0, 0, 0, 5},
		{"null", `{"jsonrpc":"2.0","result":null,"id":7}`, 7, "", 0, 0, 0, 0},
		{"nothing", `{"jsonrpc":"2.0","id":7}`, 7, "", 0, 0, 0, 0},
		{"an error of 1.0", `{"id":7,"result":null,"error":"text"}`, 7, "text", codes.Unknown, 2, maybe, 0},
		{"an error of 1.0 without text", `{"id":7,"result":null,"error":""}`, 7, "unspecified error", codes.Unknown, 2, maybe, 0},
		{"an error that is a number", `{"id":7,"error":5}`, 7, "5", codes.Unknown, 2, maybe, 0},
		{"an error that is a list", `{"id":7,"error":["a", 1]}`, 7, `["a", 1]`, codes.Unknown, 2, maybe, 0},
		{"an error and a result", `{"id":7,"error":"x","result":5}`, 7, "x", codes.Unknown, 2, maybe, 0},
		{"a method's error", `{"jsonrpc":"2.0","error":{"code":-32000,"message":"text"},"id":7}`, 7, "text", codes.Unknown, 2, maybe, 0},
		{"our own error", `{"jsonrpc":"2.0","error":{"code":-32005,"message":"text","data":{"code":"not_found","where":"method","ran":"yes"}},"id":7}`,
			7, "text", codes.NotFound, 3, yes, 0},
		{"our own success as an error", `{"jsonrpc":"2.0","error":{"code":-32603,"message":"text","data":{"code":"ok","where":"method","ran":"yes"}},"id":7}`,
			7, "text", codes.Internal, 2, maybe, 0},
		{"data that are not ours", `{"jsonrpc":"2.0","error":{"code":-32601,"message":"text","data":{"code":"not_found"}},"id":7}`,
			7, "text", codes.NotFound, 2, never, 0},
		{"data that are text", `{"jsonrpc":"2.0","error":{"code":-32601,"message":"text","data":"more"},"id":7}`, 7, "text", codes.NotFound, 2, never, 0},
		{"a parse error", `{"jsonrpc":"2.0","error":{"code":-32700,"message":"text"},"id":7}`, 7, "text", codes.InvalidArgument, 2, never, 0},
		{"an invalid request", `{"jsonrpc":"2.0","error":{"code":-32600,"message":"text"},"id":7}`, 7, "text", codes.InvalidArgument, 2, never, 0},
		{"invalid params", `{"jsonrpc":"2.0","error":{"code":-32602,"message":"text"},"id":7}`, 7, "text", codes.InvalidArgument, 2, maybe, 0},
		{"an internal error", `{"jsonrpc":"2.0","error":{"code":-32603,"message":"text"},"id":7}`, 7, "text", codes.Internal, 2, maybe, 0},
		{"a code that is text", `{"jsonrpc":"2.0","error":{"code":"E1","message":"text"},"id":7}`, 7, "text", codes.Unknown, 2, maybe, 0},
		{"a huge code", `{"jsonrpc":"2.0","error":{"code":1e400,"message":"text"},"id":7}`, 7, "text", codes.Unknown, 2, maybe, 0},
		{"no message", `{"jsonrpc":"2.0","error":{"code":5},"id":7}`, 7, `{"code":5}`, codes.Unknown, 2, maybe, 0},
		{"a message that is no text", `{"jsonrpc":"2.0","error":{"message":{}},"id":7}`, 7, `{"message":{}}`, codes.Unknown, 2, maybe, 0},
		{"a notification", `{"jsonrpc":"2.0","method":"m","params":[1]}`, 0, "", 0, 0, 0, 0},
		{"a request", `{"jsonrpc":"2.0","method":"m","params":[1],"id":7}`, 0, "", 0, 0, 0, 0},
		{"an id that is text", `{"jsonrpc":"2.0","result":5,"id":"7"}`, 0, "", 0, 0, 0, 0},
		{"an id with a fraction", `{"jsonrpc":"2.0","result":5,"id":7.5}`, 0, "", 0, 0, 0, 0},
		{"null as id", `{"jsonrpc":"2.0","result":5,"id":null}`, 0, "", 0, 0, 0, 0},
		{"no members", `{}`, 0, "", 0, 0, 0, 0},
	}
	const good = `{"jsonrpc":"2.0","result":8,"id":9}`
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, stream := range []string{test.answer + good, "[" + test.answer + "," + good + "]", " [\n" + test.answer + "]\n" + good} {
				c := codec.NewJSONRPCClient(half{iotest.OneByteReader(strings.NewReader(stream)), io.Discard})
				var h codec.Header
				result := 0
				if err := c.ReadHeader(&h); err != nil {
					t.Fatal(err)
				}
				if err := c.ReadBody(&result); err != nil {
					t.Error(err)
				}
				f := h.Frame()
				wantKind := codec.Reply
				if test.seq == 0 {
					wantKind = 255
				}
				if h.Seq != test.seq || f.Kind != wantKind || h.Error != test.err || f.Code != test.code || f.Where != test.where || f.Ran != test.r || test.err == "" && result != test.result {
					t.Errorf("%s became %+v, %d", stream, h, result)
				}
				if err := c.ReadHeader(&h); err != nil || h.Seq != 9 || c.ReadBody(&result) != nil || result != 8 {
					t.Errorf("behind it: %+v, %v, %d", h, err, result)
				}
				if err := c.ReadHeader(&h); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
		})
	}
}

// A result that does not fit concerns its call alone, and one that nobody wants is
// skipped.
func TestJSONRPCClient_Bodies(t *testing.T) {
	c := codec.NewJSONRPCClient(half{strings.NewReader(`{"result":"x","id":1}{"result":[1],"id":2}{"result":5,"id":3}`), io.Discard})
	var h codec.Header
	n := 7
	for i, body := range []any{&n, nil, &n} {
		if err := c.ReadHeader(&h); err != nil || h.Seq != uint64(i+1) {
			t.Fatalf("%+v, %v", h, err)
		}
		if err := c.ReadBody(body); (err != nil) != (i == 0) {
			t.Errorf("body %d: %v", i, err)
		}
	}
	if n != 5 {
		t.Errorf("the last result is %d", n)
	}
}

// What is no answer ends the stream.
func TestJSONRPCClient_Damage(t *testing.T) {
	tests := []struct {
		name, text string
		is         error
		says       string
	}{
		{"a word", "hello ", codec.ErrCorrupt, ""},
		{"a number", "7 ", codec.ErrCorrupt, ""},
		{"text", `"7"`, codec.ErrCorrupt, ""},
		{"no JSON", `{"id":7,}`, codec.ErrCorrupt, ""},
		{"the wrong bracket", `{"id":[7}`, codec.ErrCorrupt, ""},
		{"a batch of numbers", `[7]`, codec.ErrCorrupt, ""},
		{"an empty batch", `[]`, codec.ErrCorrupt, ""},
		{"a batch that is no JSON", `[{},]`, codec.ErrCorrupt, ""},
		{"a batch of too many", batchOf(1001, "{}"), codec.ErrCorrupt, "1000"},
		{"half an answer", `{"id":7`, io.ErrUnexpectedEOF, ""},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", codec.ErrCorrupt, ""},
		{"an error of nobody's call", `{"jsonrpc":"2.0","error":{"code":-32700,"message":"what?"},"id":null}`, nil, "the server could not read a request: what?"},
		{"the same in 1.0", `{"id":null,"result":null,"error":"what?"}`, nil, "the server could not read a request: what?"},
		{"the same without an id", `{"error":"what?"}`, nil, "the server could not read a request: what?"},
		{"too large", `{"id":7,"result":"` + strings.Repeat("x", codec.DefaultMaxMessageBytes) + `"}`, codec.ErrTooLarge, ""},
	}
	for _, test := range tests {
		c := codec.NewJSONRPCClient(half{strings.NewReader(test.text), io.Discard})
		err := c.ReadHeader(new(codec.Header))
		if err == nil || err == io.EOF || test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Both of our own ends understand each other, in both dialects.
func TestJSONRPC_OwnPeers(t *testing.T) {
	for name, newClient := range map[string]codec.NewCodecFunc{"2.0": codec.NewJSONRPCClient, "1.0": codec.NewJSONRPC1Client} {
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- serveJSONRPC(codec.NewJSONRPCServer(there), true) }() // ends with the client
		c := newClient(here)
		for seq, method := range []string{"subtract", "nothing", "fail"} {
			args := any(map[string]int{"minuend": 5, "subtrahend": 3})
			if method == "fail" {
				args = "text"
			}
			if err := c.Write(&codec.Header{ServiceMethod: method, Seq: uint64(seq)}, args); err != nil {
				t.Fatal(err)
			}
			var h codec.Header
			var result int
			if err := c.ReadHeader(&h); err != nil || h.Seq != uint64(seq) {
				t.Fatalf("%+v, %v", h, err)
			}
			if err := c.ReadBody(&result); err != nil {
				t.Error(err)
			}
			f := h.Frame()
			switch want := []uint8{0, codes.NotFound, codes.Unknown}[seq]; {
			case method == "subtract" && (h.Error != "" || result != 2):
				t.Errorf("%s: %+v, %d", name, h, result)
			case name == "2.0" && (f.Code != want || seq > 0 && (f.Where != uint8(seq+1) || f.Ran != uint8(seq))):
				t.Errorf("%s: %+v", method, h)
			case name == "1.0" && seq > 0 && (f.Code != codes.Unknown || f.Where != codes.InServer || f.Ran != codes.RanMaybe):
				t.Errorf("%s: %+v", method, h)
			}
		}
		c.Close()
		<-done
	}
}

// Stock is a service of net/rpc's own server.
type Stock struct{}

func (Stock) Sum(numbers []int, sum *int) error {
	for _, n := range numbers {
		*sum += n
	}
	return nil
}

func (Stock) Fail(text string, _ *int) error { return errors.New(text) }

// TestJSONRPC_StockServer calls net/rpc's own server, with calls that are on their way at
// the same time.
func TestJSONRPC_StockServer(t *testing.T) {
	server := rpc.NewServer()
	if err := server.Register(Stock{}); err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	go server.ServeCodec(jsonrpc.NewServerCodec(there)) // ends with the connection
	c := codec.NewJSONRPC1Client(here)
	const calls = 50
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range uint64(calls) {
			if err := c.Write(&codec.Header{ServiceMethod: []string{"Stock.Sum", "Stock.Fail", "Stock.None"}[i%3], Seq: i},
				[]any{[]int{int(i), 1}, "text", nil}[i%3]); err != nil {
				t.Error(err)
			}
		}
	})
	seen := map[uint64]bool{}
	for range calls {
		var h codec.Header
		var sum int
		if err := c.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		if err := c.ReadBody(&sum); err != nil {
			t.Error(err)
		}
		want := []string{"", "text", "rpc: can't find method Stock.None"}[h.Seq%3]
		if seen[h.Seq] || h.Error != want || h.Seq%3 == 0 && sum != int(h.Seq)+1 {
			t.Errorf("%+v, %d", h, sum)
		}
		seen[h.Seq] = true
	}
	wg.Wait()
	c.Close()
}
