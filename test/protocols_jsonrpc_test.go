package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/rpc"
	"net/rpc/jsonrpc"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc"
	"geerpc/codec"
)

// registerExamples registers the methods of the examples in JSON-RPC 2.0's specification.
func registerExamples(t *testing.T, server *geerpc.Server) {
	t.Helper()
	type difference struct {
		Minuend    int `json:"minuend"`
		Subtrahend int `json:"subtrahend"`
	}
	type numbers = []int
	ignore := func(context.Context, numbers) (any, error) { return nil, nil }
	for _, err := range []error{
		geerpc.RegisterFunc(server, "subtract", func(_ context.Context, d difference) (int, error) { return d.Minuend - d.Subtrahend, nil }),
		geerpc.RegisterFunc(server, "sum", func(_ context.Context, all numbers) (sum int, _ error) {
			for _, n := range all {
				sum += n
			}
			return sum, nil
		}),
		geerpc.RegisterFunc(server, "update", ignore),
		geerpc.RegisterFunc(server, "notify_sum", ignore),
		geerpc.RegisterFunc(server, "notify_hello", ignore),
		geerpc.RegisterFunc(server, "get_data", func(context.Context, struct{}) (any, error) { return []any{"hello", 5}, nil }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The examples of the specification's section 7, and what is answered, errors without
// their texts.
var specExamples = []struct{ name, request, answer string }{
	{"positional parameters", `{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`, `{"id":1,"jsonrpc":"2.0","result":19}`},
	{"positional parameters, the other way", `{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`, `{"id":2,"jsonrpc":"2.0","result":-19}`},
	{"named parameters", `{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`, `{"id":3,"jsonrpc":"2.0","result":19}`},
	{"named parameters in another order", `{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`, `{"id":4,"jsonrpc":"2.0","result":19}`},
	{"a notification", `{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, ``},
	{"a notification of an unknown method", `{"jsonrpc": "2.0", "method": "foobar"}`, ``},
	{"an unknown method", `{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`, `{"error":{"code":-32601},"id":"1","jsonrpc":"2.0"}`},
	{"invalid JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, `{"error":{"code":-32700},"id":null,"jsonrpc":"2.0"}`},
	{"an invalid request", `{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, `{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"}`},
	{"a batch of invalid JSON", `[
  {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
  {"jsonrpc": "2.0", "method"
]`, `{"error":{"code":-32700},"id":null,"jsonrpc":"2.0"}`},
	{"an empty batch", `[]`, `{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"}`},
	{"a batch of one that is no request", `[1]`, `[{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"}]`},
	{"a batch of what are no requests", `[1,2,3]`, `[{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"},` +
		`{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"},{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"}]`},
	{"a batch", `[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]`, `[{"id":"1","jsonrpc":"2.0","result":7},{"id":"2","jsonrpc":"2.0","result":19},{"error":{"code":-32600},"id":null,"jsonrpc":"2.0"},` +
		`{"error":{"code":-32601},"id":"5","jsonrpc":"2.0"},{"id":"9","jsonrpc":"2.0","result":["hello",5]}]`},
	{"a batch of notifications", `[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]`, ``},
}

// withoutTexts returns an answer in a form that can be compared.
func withoutTexts(t *testing.T, answer []byte) string {
	t.Helper()
	var parts []json.RawMessage
	batch := strings.HasPrefix(strings.TrimSpace(string(answer)), "[")
	if !batch {
		parts = []json.RawMessage{answer}
	} else if err := json.Unmarshal(answer, &parts); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var all []string
	for _, part := range parts {
		var members map[string]any
		if err := json.Unmarshal(part, &members); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		if e, failed := members["error"].(map[string]any); failed {
			members["error"] = map[string]any{"code": e["code"]}
		}
		text, _ := json.Marshal(members)
		all = append(all, string(text))
	}
	if batch {
		return "[" + strings.Join(all, ",") + "]"
	}
	return all[0]
}

// TestJSONRPC_Specification sends each example to a server over TCP: the answer comes
// while the client still may go on, and nothing comes besides.
func TestJSONRPC_Specification(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	registerExamples(t, e.Server)
	for _, example := range specExamples {
		t.Run(example.name, func(t *testing.T) {
			conn := e.bare()
			io.WriteString(conn, example.request)
			dec := json.NewDecoder(conn)
			if example.answer != "" {
				var answer json.RawMessage
				if err := dec.Decode(&answer); err != nil {
					t.Fatal(err)
				}
				if got := withoutTexts(t, answer); got != example.answer {
					t.Errorf("answered with\n%s\nwant\n%s", got, example.answer)
				}
			}
			conn.(*net.TCPConn).CloseWrite()
			var more json.RawMessage
			if err := dec.Decode(&more); err != io.EOF {
				t.Errorf("then %s, %v", more, err)
			}
		})
	}
}

// All examples that are JSON go over one connection, in one piece.
func TestJSONRPC_Pipelined(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	registerExamples(t, e.Server)
	conn := e.bare()
	var requests strings.Builder
	var want, got []string
	for range 20 {
		for _, example := range specExamples {
			if !json.Valid([]byte(example.request)) {
				continue
			}
			requests.WriteString(example.request)
			if example.answer != "" {
				want = append(want, example.answer)
			}
		}
	}
	io.WriteString(conn, requests.String())
	dec := json.NewDecoder(conn)
	for range want {
		var answer json.RawMessage
		if err := dec.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		got = append(got, withoutTexts(t, answer))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %d answers:\n%s\nwant\n%s", len(got), got, want)
	}
}

// A batch waits for its slowest call, and not for what its server refuses: an unknown
// method, a call that Admit turns away, one whose time is up.
func TestJSONRPC_BatchOfFailures(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	registerExamples(t, e.Server)
	e.HandleTimeout = 50 * time.Millisecond
	released := make(chan struct{})
	geerpc.RegisterFunc(e.Server, "wait", func(context.Context, any) (int, error) { <-released; return 1, nil })
	geerpc.RegisterFunc(e.Server, "panic", func(context.Context, any) (int, error) { panic("oh") })
	geerpc.RegisterFunc(e.Server, "odd", func(context.Context, any) (any, error) { return []any{make(chan int)}, nil })
	e.Admit = []func(context.Context, string) error{func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "update" {
			return errors.New("not today")
		}
		return nil
	}}
	conn := e.bare()
	io.WriteString(conn, `[{"jsonrpc":"2.0","method":"wait","id":1},{"jsonrpc":"2.0","method":"none","id":2},{"jsonrpc":"2.0","method":"update","id":3},
		{"jsonrpc":"2.0","method":"panic","id":4},{"jsonrpc":"2.0","method":"odd","id":5},{"jsonrpc":"2.0","method":"sum","params":["x"],"id":6},
		{"jsonrpc":"2.0","method":"sum","params":[6,7],"id":7},{"jsonrpc":"2.0","method":"wait"}]`)
	var answer json.RawMessage
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	want := `[{"error":{"code":-32004},"id":1,"jsonrpc":"2.0"},{"error":{"code":-32601},"id":2,"jsonrpc":"2.0"},` +
		`{"error":{"code":-32007},"id":3,"jsonrpc":"2.0"},{"error":{"code":-32603},"id":4,"jsonrpc":"2.0"},` +
		`{"error":{"code":-32603},"id":5,"jsonrpc":"2.0"},{"error":{"code":-32602},"id":6,"jsonrpc":"2.0"},{"id":7,"jsonrpc":"2.0","result":13}]`
	if got := withoutTexts(t, answer); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	close(released)
}

// With fewer slots than a batch has calls, all are answered.
func TestJSONRPC_BatchBeyondMaxInFlight(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	registerExamples(t, e.Server)
	e.MaxInFlight = 2
	conn := e.bare()
	const calls = 200
	io.WriteString(conn, "["+strings.TrimSuffix(strings.Repeat(`{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":1},`, calls), ",")+"]")
	var answers []struct{ Result int }
	if err := json.NewDecoder(conn).Decode(&answers); err != nil || len(answers) != calls || answers[calls-1].Result != 3 {
		t.Errorf("%d answers, %v", len(answers), err)
	}
}

// Answers that are too large for one message are refused one by one.
func TestJSONRPC_BatchTooLarge(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	e.MaxMessageBytes = 10_000
	geerpc.RegisterFunc(e.Server, "text", func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
	geerpc.RegisterFunc(e.Server, "fail", func(_ context.Context, n int) (string, error) { return "", errors.New(strings.Repeat("x", n)) })
	for _, method := range []string{"text", "fail"} {
		for _, n := range []int{100, 3000, 100_000} {
			conn := e.bare()
			io.WriteString(conn, "["+strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":[%d],"id":1},`, method, n), 20), ",")+"]")
			var answers []struct {
				Result string
				Error  *struct {
					Message string
					Data    struct{ Code string }
				}
			}
			if err := json.NewDecoder(conn).Decode(&answers); err != nil || len(answers) != 20 {
				t.Errorf("%s of %d: %d answers, %v", method, n, len(answers), err)
				continue
			}
			refused := 0
			for _, a := range answers {
				if a.Error != nil && a.Error.Data.Code == "resource_exhausted" {
					refused++
				}
			}
			if (refused == 0) != (n == 100) || (refused == 20) != (n == 100_000) {
				t.Errorf("%s of %d: %d are refused", method, n, refused)
			}
		}
	}
}

// A client that has gone ends the contexts of its calls.
func TestJSONRPC_ClientGone(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	begun, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	geerpc.RegisterFunc(e.Server, "wait", func(ctx context.Context, _ any) (int, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return 0, nil
	})
	for _, request := range []string{`{"jsonrpc":"2.0","method":"wait","id":1}`, `[{"jsonrpc":"2.0","method":"wait","id":1}]`} {
		conn := e.bare()
		io.WriteString(conn, request)
		<-begun
		conn.Close()
		<-ended
	}
}

// JSON-RPC behind our own hello is answered at once, in its language.
func TestJSONRPC_BehindHello(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	conn := e.bare()
	fmt.Fprintf(conn, `{"MagicNumber":%d,"CodecType":"application/json"}`+"\n"+`{"jsonrpc":"2.0","method":"Arith.Add","params":[1],"id":"seven"}`, geerpc.MagicNumber)
	lines := bufio.NewScanner(conn)
	for lines.Scan() && !strings.Contains(lines.Text(), "jsonrpc") { // an acknowledgement may come first
	}
	if got := lines.Text(); !strings.Contains(got, `"code":-32600`) || !strings.HasSuffix(got, `"id":"seven"}`) {
		t.Errorf("answered with %s", got)
	}
	fmt.Fprintln(conn, `{"ServiceMethod":"Arith.Add","Seq":1}`+"\n"+`{"A":1,"B":2}`)
	lines.Scan() // the header of a reply
	if lines.Scan(); lines.Text() != `{"C":3}` {
		t.Errorf("then: %s", lines.Text())
	}
}

// Our client speaks JSON-RPC to our own server, with codes and all.
func TestJSONRPC_OwnPeers(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	registerExamples(t, e.Server)
	e.Register(StockArith{})
	geerpc.RegisterFunc(e.Server, "denied", func(context.Context, any) (int, error) {
		return 0, geerpc.Errorf(geerpc.CodePermissionDenied, "no entry")
	})
	e.start()
	client, err := geerpc.XDial("jsonrpc@" + e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			var sum int
			if err := client.Call(t.Context(), "StockArith.Add", StockArgs{i, 1}, &sum); err != nil || sum != i+1 {
				t.Errorf("%d, %v", sum, err)
			}
			if err := client.Call(t.Context(), "sum", []int{i}, &sum); err != nil || sum != i {
				t.Errorf("%d, %v", sum, err)
			}
		})
	}
	calls.Wait()
	for method, want := range map[string]geerpc.Error{
		"denied":         {Code: geerpc.CodePermissionDenied, Where: geerpc.InMethod, Ran: geerpc.RanYes},
		"none":           {Code: geerpc.CodeNotFound, Where: geerpc.InServer, Ran: geerpc.RanNever},
		"StockArith.Mul": {Code: geerpc.CodeNotFound, Where: geerpc.InServer, Ran: geerpc.RanNever},
		"sum":            {Code: geerpc.CodeInvalidArgument, Where: geerpc.InServer, Ran: geerpc.RanNever},
		"StockArith.Div": {Code: geerpc.CodeUnknown, Where: geerpc.InMethod, Ran: geerpc.RanYes},
	} {
		var e *geerpc.Error
		if err := client.Call(t.Context(), method, StockArgs{}, new(int)); !errors.As(err, &e) || e.Code != want.Code || e.Where != want.Where || e.Ran != want.Ran {
			t.Errorf("%s: %+v, want %v, %v, %v", method, err, want.Code, want.Where, want.Ran)
		}
	}
}

// The standard library's client calls our server, and our client its server.
func TestJSONRPC_StockPeers(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.JsonType)
		e.Register(StockArith{})
		e.start()
		client, err := jsonrpc.Dial("tcp", e.lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				var sum int
				if err := client.Call("StockArith.Add", StockArgs{i, 1}, &sum); err != nil || sum != i+1 {
					t.Errorf("%d, %v", sum, err)
				}
			})
		}
		calls.Wait()
		if err := client.Call("StockArith.Div", StockArgs{}, new(int)); err == nil || err != error(rpc.ServerError("divide by 100%")) {
			t.Errorf("%v", err)
		}
	})
	t.Run("server", func(t *testing.T) {
		server := rpc.NewServer()
		server.Register(StockArith{})
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() { defer close(served); server.ServeCodec(jsonrpc.NewServerCodec(far)) }() // ends with the connection
		client, err := geerpc.NewClient(near, &geerpc.Option{Protocol: geerpc.JSONRPC1})
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for i := range 50 {
			calls.Go(func() {
				var sum int
				if err := client.Call(t.Context(), "StockArith.Add", StockArgs{i, 1}, &sum); err != nil || sum != i+1 {
					t.Errorf("%d, %v", sum, err)
				}
			})
		}
		calls.Wait()
		for method, want := range map[string]string{"StockArith.Div": "divide by 100%", "StockArith.Mul": "rpc: can't find method StockArith.Mul"} {
			var e *geerpc.Error
			if err := client.Call(t.Context(), method, StockArgs{}, new(int)); !errors.As(err, &e) || e.Error() != want || e.Code != geerpc.CodeUnknown || e.Ran != geerpc.RanMaybe {
				t.Errorf("%s: %+v", method, err)
			}
		}
		client.Close()
		<-served
	})
}

// Our client takes what servers of others send: notifications, answers to nobody, a
// batch of answers in any order, and at last an error that is no call's.
func TestJSONRPC_OddServer(t *testing.T) {
	near, far := net.Pipe()
	client, err := geerpc.NewClient(near, &geerpc.Option{Protocol: geerpc.JSONRPC})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer far.Close()
	requests := json.NewDecoder(far)
	var results [3]int
	done := make(chan *geerpc.Call, len(results))
	read := func(n int) (ids []any) {
		for range n {
			var request struct{ ID json.Number }
			if err := requests.Decode(&request); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, request.ID)
		}
		return ids
	}
	for i := range 2 {
		client.Go("method", i, &results[i], done)
	}
	ids := read(2)
	fmt.Fprintf(far, `{"jsonrpc":"2.0","method":"log","params":["hello"]}{"jsonrpc":"2.0","result":9,"id":99}{"jsonrpc":"2.0","result":9,"id":"x"}`+
		`[{"jsonrpc":"2.0","result":2,"id":%v},{"jsonrpc":"2.0","result":1,"id":%v}]`, ids[1], ids[0])
	for range 2 {
		if call := <-done; call.Error != nil {
			t.Error(call.Error)
		}
	}
	if results != [3]int{1, 2} {
		t.Errorf("results are %v", results)
	}
	client.Go("method", 3, &results[2], done)
	read(1)
	fmt.Fprint(far, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"what was that?"},"id":null}`)
	if call := <-done; call.Error == nil || !strings.Contains(call.Error.Error(), "what was that?") || geerpc.CodeOf(call.Error) != geerpc.CodeUnavailable {
		t.Errorf("%+v", call.Error)
	}
}

// threeSums is a batch of three calls, one of them a notification.
const threeSums = `[{"jsonrpc":"2.0","method":"sum","params":[1,1],"id":1},{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":2},{"jsonrpc":"2.0","method":"sum","params":[1]}]`

// The answers of threeSums.
const threeSumsAnswered = `[{"id":1,"jsonrpc":"2.0","result":2},{"id":2,"jsonrpc":"2.0","result":3}]`

// A client that is not welcome is told so with every call of its first batch, which is
// answered in one.
func TestJSONRPC_RefusedBatch(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.Token = "not for JSON-RPC"
	conn := e.bare()
	io.WriteString(conn, threeSums)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"error":{"code":-32016},"id":1,"jsonrpc":"2.0"},{"error":{"code":-32016},"id":2,"jsonrpc":"2.0"}]`
	if got := withoutTexts(t, answer); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// To ServeRequest a batch is one request.
func TestJSONRPC_RequestIsBatch(t *testing.T) {
	server := geerpc.NewServer()
	defer server.Close()
	registerExamples(t, server)
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { // ends with the answer
		served <- server.ServeRequest(far, codec.NewJSONRPCServer)
		far.Close()
	}()
	io.WriteString(near, threeSums)
	answer, _ := io.ReadAll(near)
	if got := withoutTexts(t, answer); got != threeSumsAnswered {
		t.Errorf("%s, want %s", got, threeSumsAnswered)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A batch of which the server has begun to read the calls when it shuts down is answered
// whole: there are no answers without those to the calls that wait for a slot.
func TestJSONRPC_ShutdownInBatch(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	registerExamples(t, e.Server)
	e.MaxInFlight = 1
	entered, release := make(chan bool), make(chan bool)
	geerpc.RegisterFunc(e.Server, "wait", func(context.Context, any) (int, error) { entered <- true; <-release; return 0, nil })
	conn := e.bare()
	io.WriteString(conn, `[{"jsonrpc":"2.0","method":"wait","id":0},`+threeSums[1:])
	<-entered
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(context.Background()) }() // ends with the answer
	eventually(t, "the connection drains", func() bool { return strings.Contains(e.debugJSON(), `"draining": true`) })
	close(release)
	answer, _ := io.ReadAll(conn)
	if got, want := withoutTexts(t, answer), `[{"id":0,"jsonrpc":"2.0","result":0},`+threeSumsAnswered[1:]; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	conn.Close()
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// Answers arrive whole although the client sends more, which nobody reads, behind what is
// no JSON: the connection is not reset.
func TestJSONRPC_AnswersBeforeGarbage(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	const size = 120 << 10 // the kernel takes so much
	geerpc.RegisterFunc(e.Server, "big", func(context.Context, any) (string, error) { return strings.Repeat("x", size), nil })
	conn := e.bare()
	io.WriteString(conn, `{"jsonrpc":"2.0","method":"big","id":1}{]`+strings.Repeat(" ", 1<<20))
	eventually(t, "the server has closed the connection", func() bool { return strings.Contains(e.debugJSON(), `"open": 0`) })
	if answers, err := io.ReadAll(conn); len(answers) < size || err != nil {
		t.Errorf("%d bytes, %v", len(answers), err)
	}
}

// debugJSON returns the debug page in JSON.
func (e *env) debugJSON() string {
	page := httptest.NewRecorder()
	e.DebugHandler().ServeHTTP(page, httptest.NewRequest("GET", "/?format=json", nil))
	return page.Body.String()
}
