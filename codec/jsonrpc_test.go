package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"geerpc/codec"
	"geerpc/internal/codes"
)

// The methods of the specification's examples, and some more. Each is a
// func(argument) (reply any, err error).
var jsonrpcMethods = map[string]any{
	"subtract": func(a struct {
		Minuend    int `json:"minuend"`
		Subtrahend int `json:"subtrahend"`
	}) (any, error) {
		return a.Minuend - a.Subtrahend, nil
	},
	"sum": func(numbers []int) (any, error) {
		sum := 0
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	},
	"update":       func(any) (any, error) { return nil, nil },
	"notify_sum":   func([]int) (any, error) { return 0, nil },
	"notify_hello": func(int) (any, error) { return nil, nil },
	"get_data":     func(struct{}) (any, error) { return []any{"hello", 5}, nil },
	"echo":         func(v any) (any, error) { return v, nil },
	"fail":         func(text string) (any, error) { return nil, errors.New(text) },
	"chan":         func(any) (any, error) { return make(chan int), nil },
}

// serveJSONRPC is the least that a server does with a codec: each call that is read is
// answered, an error by itself. The methods run at the same time, or one by one.
func serveJSONRPC(cc codec.Codec, together bool) error {
	var mu sync.Mutex // held by the one who writes
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		var h codec.Header
		if err := cc.ReadHeader(&h); err != nil {
			return err
		}
		run := readJSONRPCCall(cc, &h)
		answer := func() {
			reply, err := run()
			mu.Lock()
			defer mu.Unlock()
			writeAnswer(cc, h.Seq, reply, err)
		}
		if together {
			wg.Go(answer)
		} else {
			answer()
		}
	}
}

// A callError is an error with what a header says of it.
type callError struct {
	text string
	codec.Frame
}

func (e *callError) Error() string { return e.text }

// readJSONRPCCall reads the body of a call, and returns what runs it.
func readJSONRPCCall(cc codec.Codec, h *codec.Header) (run func() (any, error)) {
	fails := func(text string, f codec.Frame) func() (any, error) {
		return func() (any, error) { return nil, &callError{text, f} }
	}
	method := reflect.ValueOf(jsonrpcMethods[h.ServiceMethod])
	switch {
	case h.Error != "":
		cc.ReadBody(nil)
		return fails(h.Error, *h.Frame())
	case !method.IsValid():
		cc.ReadBody(nil)
		return fails("no method "+h.ServiceMethod, codec.Frame{Code: codes.NotFound, Where: codes.InServer, Ran: codes.RanNever})
	}
	argument := reflect.New(method.Type().In(0))
	if err := cc.ReadBody(argument.Interface()); err != nil {
		return fails(err.Error(), codec.Frame{Code: codes.InvalidArgument, Where: codes.InServer, Ran: codes.RanNever})
	}
	return func() (any, error) {
		results := method.Call([]reflect.Value{argument.Elem()})
		err, _ := results[1].Interface().(error)
		return results[0].Interface(), err
	}
}

func writeAnswer(cc codec.Codec, seq uint64, reply any, err error) {
	h := codec.Header{Seq: seq}
	h.Frame().Kind = codec.Reply
	if err != nil {
		h.Error = err.Error()
		h.Frame().Code, h.Frame().Where, h.Frame().Ran = codes.Unknown, 3, 2
		var e *callError
		if errors.As(err, &e) {
			h.Frame().Code, h.Frame().Where, h.Frame().Ran = e.Code, e.Where, e.Ran
		}
	}
	if failed := cc.Write(&h, reply); failed != nil && err == nil {
		writeAnswer(cc, seq, nil, &callError{failed.Error(), codec.Frame{Code: codes.Internal, Where: 3, Ran: 2}})
	}
}

// A half is a connection that reads from one stream and writes to another.
type half struct {
	io.Reader
	io.Writer
}

func (half) Close() error { return nil }

// ask returns what a server answers to a client that sends some text and then closes its
// side.
func ask(t *testing.T, request io.Reader, together bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := serveJSONRPC(codec.NewJSONRPCServer(half{request, &out}), together); err != io.EOF {
		t.Errorf("reading ended with %v", err)
	}
	return out.String()
}

// normal returns answers in a form that can be compared. The texts and data of errors are
// left out.
func normal(t *testing.T, answers string) string {
	t.Helper()
	var all []string
	for dec := json.NewDecoder(strings.NewReader(answers)); ; {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			return strings.Join(all, "\n")
		} else if err != nil {
			t.Fatalf("%v in %s", err, answers)
		}
		list, batch := v.([]any)
		if !batch {
			all = append(all, normalAnswer(v))
			continue
		}
		var parts []string
		for _, v := range list {
			parts = append(parts, normalAnswer(v))
		}
		all = append(all, "["+strings.Join(parts, ",")+"]")
	}
}

func normalAnswer(v any) string {
	if answer, ok := v.(map[string]any); ok {
		if e, ok := answer["error"].(map[string]any); ok {
			delete(e, "message")
			delete(e, "data")
		}
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// The examples of the specification's section 7.
var jsonrpcExamples = []struct{ name, request, answer string }{
	{"positional parameters", `{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`,
		`{"jsonrpc": "2.0", "result": 19, "id": 1}`},
	{"positional parameters, the other way", `{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`,
		`{"jsonrpc": "2.0", "result": -19, "id": 2}`},
	{"named parameters", `{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`,
		`{"jsonrpc": "2.0", "result": 19, "id": 3}`},
	{"named parameters in another order", `{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`,
		`{"jsonrpc": "2.0", "result": 19, "id": 4}`},
	{"a notification", `{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, ""},
	{"a notification of an unknown method", `{"jsonrpc": "2.0", "method": "foobar"}`, ""},
	{"an unknown method", `{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`,
		`{"jsonrpc": "2.0", "error": {"code": -32601}, "id": "1"}`},
	{"invalid JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`,
		`{"jsonrpc": "2.0", "error": {"code": -32700}, "id": null}`},
	{"an invalid request", `{"jsonrpc": "2.0", "method": 1, "params": "bar"}`,
		`{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null}`},
	{"a batch of invalid JSON", `[
		{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
		{"jsonrpc": "2.0", "method"
	]`, `{"jsonrpc": "2.0", "error": {"code": -32700}, "id": null}`},
	{"an empty batch", `[]`, `{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null}`},
	{"a batch of one that is no request", `[1]`, `[{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null}]`},
	{"a batch of what are no requests", `[1,2,3]`, `[
		{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null},
		{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null},
		{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null}
	]`},
	{"a batch", `[
		{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
		{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
		{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
		{"foo": "boo"},
		{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
		{"jsonrpc": "2.0", "method": "get_data", "id": "9"}
	]`, `[
		{"jsonrpc": "2.0", "result": 7, "id": "1"},
		{"jsonrpc": "2.0", "result": 19, "id": "2"},
		{"jsonrpc": "2.0", "error": {"code": -32600}, "id": null},
		{"jsonrpc": "2.0", "error": {"code": -32601}, "id": "5"},
		{"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
	]`},
	{"a batch of notifications", `[
		{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
		{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
	]`, ""},
}

// TestJSONRPCExamples sends the specification's examples, whole and byte by byte, with
// methods that run one by one and at the same time.
func TestJSONRPCExamples(t *testing.T) {
	for _, test := range jsonrpcExamples {
		t.Run(test.name, func(t *testing.T) {
			want := normal(t, test.answer)
			for _, together := range []bool{false, true} {
				if got := normal(t, ask(t, strings.NewReader(test.request), together)); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				if got := normal(t, ask(t, iotest.OneByteReader(strings.NewReader(test.request)), together)); got != want {
					t.Errorf("byte by byte: got\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}

// None of the specification's examples waits for anything that is not sent.
func TestJSONRPCExamples_Ready(t *testing.T) {
	for _, test := range jsonrpcExamples {
		c := codec.NewJSONRPCServer(half{strings.NewReader(test.request), io.Discard}).(codec.Extended)
		for n := 0; n == 0 || c.Ready(); n++ {
			if err := c.ReadHeader(new(codec.Header)); err == io.EOF && n > 0 {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
			if err := c.ReadBody(nil); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		}
	}
}

// TestJSONRPCServer holds what a server answers, to the byte but for the texts of errors
// that encoding/json words.
func TestJSONRPCServer(t *testing.T) {
	const invalid = `","data":{"code":"invalid_argument","where":"server","ran":"never"}},"id":`
	tests := []struct{ name, request, answer string }{
		{"a number with a fraction as id", `{"jsonrpc":"2.0","method":"sum","id":1.50}`, `{"jsonrpc":"2.0","result":0,"id":1.50}`},
		{"a huge number as id", `{"jsonrpc":"2.0","method":"sum","id":-123456789012345678901234567890e99}`,
			`{"jsonrpc":"2.0","result":0,"id":-123456789012345678901234567890e99}`},
		{"text as id", `{"jsonrpc":"2.0","method":"sum","id":"\u00e9 \" 1"}`, `{"jsonrpc":"2.0","result":0,"id":"\u00e9 \" 1"}`},
		{"null as id", `{"jsonrpc":"2.0","method":"sum","id":null}`, `{"jsonrpc":"2.0","result":0,"id":null}`},
		{"the same id twice", `{"jsonrpc":"2.0","method":"sum","id":1}{"jsonrpc":"2.0","method":"sum","params":[2,3],"id":1}`,
			`{"jsonrpc":"2.0","result":0,"id":1}` + "\n" + `{"jsonrpc":"2.0","result":5,"id":1}`},
		{"an object as id", `{"jsonrpc":"2.0","method":"sum","id":{}}`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"id\" must be a string, a number or null` + invalid + `null}`},
		{"true as id", `{"jsonrpc":"2.0","method":"sum","id":true}`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"id\" must be a string, a number or null` + invalid + `null}`},
		{"another version", `{"jsonrpc":"3.0","method":"sum","id":7}`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"jsonrpc\" must be \"2.0\"` + invalid + `7}`},
		{"no method", `{"jsonrpc":"2.0","id":7}`,
			`{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: it has no member \"method\"` + invalid + `7}`},
		{"nothing", `{} null `, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"jsonrpc\" must be \"2.0\"` + invalid + `null}` + "\n" +
			`{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"jsonrpc\" must be \"2.0\"` + invalid + `null}`},
		{"a member twice", `{"jsonrpc":"2.0","method":"no","method":"sum","id":1}`, `{"jsonrpc":"2.0","result":0,"id":1}`},
		{"bad UTF-8", "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"params\":[\"\xff\"],\"id\":1}", `{"jsonrpc":"2.0","result":"` + "\uFFFD" + `","id":1}`},
		{"a request on lines", "{\"jsonrpc\":\"2.0\",\n\"method\":\n\"sum\",\"id\"\n:1\n}\n\n \n", `{"jsonrpc":"2.0","result":0,"id":1}`},
		{"a method's error", `{"jsonrpc":"2.0","method":"fail","params":["it \"broke\""],"id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32000,"message":"it \"broke\"","data":{"code":"unknown","where":"method","ran":"yes"}},"id":1}`},
		{"a method's error without text", `{"jsonrpc":"2.0","method":"fail","params":[""],"id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32000,"message":"","data":{"code":"unknown","where":"method","ran":"yes"}},"id":1}`},
		{"a reply that can't be encoded", `{"jsonrpc":"2.0","method":"chan","id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32603,"message":"json: unsupported type: chan int","data":{"code":"internal","where":"method","ran":"yes"}},"id":1}`},
		{"a notification that fails", `{"jsonrpc":"2.0","method":"fail","params":["x"]}{"jsonrpc":"2.0","method":"sum","params":{}}{"jsonrpc":"2.0","method":"chan"}`, ""},
		{"params that are text", `{"jsonrpc":"2.0","method":"echo","params":"x","id":1}`,
			`{"jsonrpc":"2.0","error":{"code":-32602,"message":"params must be an object or a list` + invalid + `1}`},
		{"a number at the end", ` 12`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: it must be an object` + invalid + `null}`},
		{"a method that is a number", `{"jsonrpc":"2.0","method":1,"id":7}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"method\" must be a string` + invalid + `7}`},
		{"1.0 in between", `{"jsonrpc":"2.0","method":"sum","id":1}{"method":"sum","params":[[1,2]],"id":2}{"jsonrpc":"2.0","method":"sum","id":3}`,
			`{"jsonrpc":"2.0","result":0,"id":1}` + "\n" + `{"id":2,"result":3,"error":null}` + "\n" + `{"jsonrpc":"2.0","result":0,"id":3}`},
		{"1.0, a batch", `[{"method":"sum","params":[[1,2]],"id":2}]`,
			`[{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request: its member \"jsonrpc\" must be \"2.0\"` + invalid + `2}]`},
		{"1.0, a null reply", `{"method":"update","params":[1],"id":2}`, `{"id":2,"result":null,"error":null}`},
		{"1.0, any id", `{"method":"sum","params":[[1,2]],"id":[{"a":"b"}]}`, `{"id":[{"a":"b"}],"result":3,"error":null}`},
		{"1.0, no id", `{"method":"sum","params":[[1,2]]}{"method":"sum","params":[[1,3]],"id":null}`,
			`{"id":null,"result":3,"error":null}` + "\n" + `{"id":null,"result":4,"error":null}`},
		{"1.0, more elements", `{"method":"sum","params":[[1,2],3,"x"],"id":1}`, `{"id":1,"result":3,"error":null}`},
		{"1.0, no elements", `{"method":"sum","params":[],"id":1}`, `{"id":1,"result":0,"error":null}`},
		{"1.0, no params", `{"method":"sum","id":1}{"method":"sum","params":null,"id":1}`,
			`{"id":1,"result":null,"error":"there are no params: they are a list with the argument in it"}` + "\n" +
				`{"id":1,"result":null,"error":"there are no params: they are a list with the argument in it"}`},
		{"1.0, an unknown method", `{"method":"x","params":[1],"id":1}`, `{"id":1,"result":null,"error":"no method x"}`},
		{"1.0, an error", `{"method":"fail","params":["a \"b\""],"id":1}`, `{"id":1,"result":null,"error":"a \"b\""}`},
		{"1.0, a reply that can't be encoded", `{"method":"chan","params":[1],"id":1}`, `{"id":1,"result":null,"error":"json: unsupported type: chan int"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, slow := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				if got := strings.TrimSuffix(ask(t, slow(strings.NewReader(test.request)), false), "\n"); got != test.answer {
					t.Errorf("got\n%s\nwant\n%s", got, test.answer)
				}
			}
		})
	}
}

// Behind what is not JSON nothing is read: the answer is the last.
func TestJSONRPCServer_Damage(t *testing.T) {
	const good = `{"jsonrpc":"2.0","method":"sum","id":1}`
	tests := map[string]string{
		"text":                   "GET / HTTP/1.1\r\n\r\n",
		"a word and a request":   "hello" + good,
		"a comma":                ", ",
		"the wrong bracket":      `{"jsonrpc":"2.0","method":"sum","id":[}`,
		"the wrong one, a batch": `[{"jsonrpc":"2.0"]`,
		"a line in a string":     "{\"jsonrpc\":\"2.0\n",
		"no quotes":              `{jsonrpc:2.0}`,
		"a batch with a comma":   `[` + good + `,]`,
		"nesting":                strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
		"nesting in params":      `{"jsonrpc":"2.0","method":"sum","params":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`,
		"a closing bracket":      "]",
		"the end":                `{"jsonrpc":"2.0","method":"su`,
		"the end of a batch":     "[" + good,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			want := `{"id":1,"jsonrpc":"2.0","result":0}` + "\n" + `{"error":{"code":-32700},"id":null,"jsonrpc":"2.0"}`
			if strings.HasPrefix(name, "the end") {
				if got := normal(t, ask(t, strings.NewReader(good+"\n"+text), false)); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
				return
			}
			if got := normal(t, ask(t, strings.NewReader(good+"\n"+text+good), false)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The errors of a method have their code in their number.
func TestJSONRPCServer_Numbers(t *testing.T) {
	tests := []struct {
		code, where, ran uint8
		want             string
	}{
		{codes.NotFound, codes.InServer, codes.RanNever, "-32601"},
		{codes.NotFound, 3, 2, "-32005"},
		{codes.InvalidArgument, codes.InServer, codes.RanNever, "-32602"},
		{codes.InvalidArgument, 3, 2, "-32003"},
		{codes.Internal, 3, 2, "-32603"},
		{codes.Internal, codes.InServer, codes.RanNever, "-32603"},
		{codes.Unknown, 3, 2, "-32000"},
		{codes.DeadlineExceeded, 3, 0, "-32004"},
		{codes.ResourceExhausted, codes.InServer, codes.RanNever, "-32008"},
		{99, 3, 2, "-32099"},
		{100, 3, 2, "-32000"},
	}
	for _, test := range tests {
		var out bytes.Buffer
		c := codec.NewJSONRPCServer(half{strings.NewReader(`{"jsonrpc":"2.0","method":"x","id":1}`), &out})
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		h = codec.Header{Seq: h.Seq, Error: "text"}
		*h.Frame() = codec.Frame{Kind: codec.Reply, Code: test.code, Where: test.where, Ran: test.ran, Metadata: map[string]string{"k": "v"}}
		if err := c.Write(&h, nil); err != nil || !strings.Contains(out.String(), `"code":`+test.want+`,`) || strings.Contains(out.String(), `"v"`) {
			t.Errorf("%+v: %s, %v", test, &out, err)
		}
	}
}

// An answer that can't be written can be replaced; one that has been written can't.
func TestJSONRPCServer_WriteAgain(t *testing.T) {
	for _, batch := range []bool{false, true} {
		request := `{"jsonrpc":"2.0","method":"x","id":1}`
		if batch {
			request = "[" + request + "]"
		}
		var out bytes.Buffer
		c := codec.NewJSONRPCServer(half{strings.NewReader(request), &out})
		var h codec.Header
		if err := c.ReadHeader(&h); err != nil {
			t.Fatal(err)
		}
		reply := codec.Header{Seq: h.Seq}
		for range 2 {
			if err := c.Write(&reply, make(chan int)); err == nil || out.Len() > 0 {
				t.Errorf("a channel was encoded as %s", &out)
			}
		}
		if err := c.Write(&reply, 5); err != nil || !strings.Contains(out.String(), `"result":5`) {
			t.Errorf("%s, %v", &out, err)
		}
		n := out.Len()
		if err := c.Write(&reply, 6); err == nil || out.Len() > n {
			t.Errorf("a second answer: %s, %v", &out, err)
		}
	}
}

// Whoever has called ReadBody of a request that is none gets its error.
func TestJSONRPCServer_BodyOfError(t *testing.T) {
	c := codec.NewJSONRPCServer(half{strings.NewReader(`{"jsonrpc":"2.0"}{"jsonrpc":"2.0","method":"x","params":[1]}`), io.Discard})
	var h codec.Header
	n := 5
	if err := c.ReadHeader(&h); err != nil || h.Error == "" || h.Frame().Code != codes.InvalidArgument ||
		h.Frame().Where != codes.InServer || h.Frame().Ran != codes.RanNever || h.Frame().Kind != codec.Call {
		t.Errorf("%+v, %v", h, err)
	}
	if err := c.ReadBody(&n); err == nil || err.Error() != h.Error || n != 5 {
		t.Errorf("%v, %d", err, n)
	}
	if err := c.ReadHeader(&h); err != nil || h.Error != "" || h.Frame().Code != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if err := c.ReadBody(&n); err != nil || n != 1 {
		t.Errorf("%v, %d", err, n)
	}
}

// TestJSONRPC_StockClient has net/rpc's own client call.
func TestJSONRPC_StockClient(t *testing.T) {
	here, there := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- serveJSONRPC(codec.NewJSONRPCServer(there), true) }() // ends with the client
	client := jsonrpc.NewClient(here)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			var sum int
			if err := client.Call("sum", []int{i, 2}, &sum); err != nil || sum != i+2 {
				t.Errorf("%d, %v", sum, err)
			}
			err := client.Call("fail", "text", &sum)
			if _, ok := err.(rpc.ServerError); !ok || err.Error() != "text" {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
	wg.Wait()
	client.Close()
	<-done
}

// A connection that breaks between requests, as TLS reports it, is no request.
func TestJSONRPCServer_Broken(t *testing.T) {
	c := codec.NewJSONRPCServer(half{iotest.ErrReader(io.ErrUnexpectedEOF), io.Discard})
	var h codec.Header
	if err := c.ReadHeader(&h); err != io.ErrUnexpectedEOF {
		t.Errorf("%+v, %v", h, err)
	}
}
