package geerpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// wantText checks the text of an error, in which AT stands for the server's address.
func wantText(t *testing.T, e *env, err error, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, "AT", e.address())
	if err == nil || err.Error() != want {
		t.Errorf("the error is\n%v, want\n%s", err, want)
	}
}

// address returns the address that an env's clients dial, as XDial takes it.
func (e *env) address() string { return e.lis.Addr().Network() + "@" + e.lis.Addr().String() }

// newMessagesEnv returns an env with methods that fail in various ways.
func newMessagesEnv(t *testing.T, transport string) *env {
	e := newEnv(t, transport, codec.GobType)
	RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (int, error) { time.Sleep(time.Second); return 0, nil })
	RegisterFunc(e.Server, "Test.Text", func(context.Context, Args) (string, error) { return strings.Repeat("x", 5000), nil })
	RegisterFunc(e.Server, "Test.Echo", func(_ context.Context, text string) (int, error) { return len(text), nil })
	RegisterFunc(e.Server, "Test.Unencodable", func(context.Context, Args) (any, error) { return Args{}, nil })
	return e
}

// TestMessages_Time: what is up says whose call it was and how long it has waited.
func TestMessages_Time(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newMessagesEnv(t, "pipe")
		client := e.dial(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := client.Call(ctx, "Test.Wait", Args{}, nil)
		wantText(t, e, err, "rpc client: Test.Wait at AT: no reply within 50ms: context deadline exceeded")
		wantError(t, err, CodeDeadlineExceeded, OnLink, RanMaybe)
		wantText(t, e, client.Call(ctx, "Arith.Add", Args{}, nil), "rpc client: Arith.Add at AT: not sent: context deadline exceeded")
		wantText(t, e, client.Ping(ctx), "rpc client: AT: not sent: context deadline exceeded")

		cancelled, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		wantText(t, e, client.Call(cancelled, "Test.Wait", Args{}, nil), "rpc client: Test.Wait at AT: no reply: context canceled")

		limited := e.dial(&Option{HandleTimeout: 20 * time.Millisecond})
		wantText(t, e, limited.Call(t.Context(), "Test.Wait", Args{}, nil), "rpc server: request handle timeout: expect within 20ms for Test.Wait")
		time.Sleep(time.Minute) // in the bubble: the methods return
	})
	for in, want := range map[time.Duration]string{1: "1ns", 49_987_654: "50ms", 1_234_567_890: "1.23s", 90 * time.Second: "1m30s", 999_999: "1ms"} {
		if got := rounded(in).String(); got != want {
			t.Errorf("%d is rounded to %s, want %s", in, got, want)
		}
	}
}

// TestMessages_Bodies: what can't be encoded or decoded has its method and type, and a
// limit its field, and the numbers that were set.
func TestMessages_Bodies(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	e.MaxMessageBytes = 3000
	client := e.dial(&Option{MaxMessageBytes: 4000})
	call := func(serviceMethod string, args, reply any) error {
		return client.Call(t.Context(), serviceMethod, args, reply)
	}
	for range 2 { // the second time gob's types are known, and values are encoded in another way
		wantText(t, e, call("Test.Echo", make(chan int), nil),
			"rpc client: Test.Echo at AT: encoding arguments of type chan int: gob NewTypeObject can't handle type: chan int")
		wantText(t, e, call("Test.Unencodable", Args{}, nil),
			"rpc server: encoding the reply of Test.Unencodable (interface {}): gob: type not registered for interface: geerpc.Args (both sides must call gob.Register with a value of that type)")
		err := call("Arith.Add", Args{}, new([]string))
		if text := fmt.Sprint(err); !strings.HasPrefix(text, "rpc client: Arith.Add at "+e.address()+": decoding the reply into *[]string: gob: ") {
			t.Error(err)
		}
		err = call("Test.Echo", strings.Repeat("x", 5000), nil)
		prefix := "rpc client: Test.Echo at " + e.address() + ": arguments of type string are too large for the server, which sets the limit: message exceeds the size limit: "
		if text := fmt.Sprint(err); !strings.HasPrefix(text, prefix) || !strings.Contains(text, " MaxMessageBytes") || !strings.Contains(text, " 3000") {
			t.Error(err)
		}
		err = call("Test.Text", Args{}, nil)
		prefix = "rpc server: the reply of Test.Text (string) is too large for the client, which sets the limit: message exceeds the size limit: "
		if text := fmt.Sprint(err); !strings.HasPrefix(text, prefix) || !strings.Contains(text, " MaxMessageBytes") || !strings.Contains(text, " 4000") {
			t.Error(err)
		}
		wantError(t, err, CodeResourceExhausted, InMethod, RanYes)
	}
	framed := e.dial(&Option{CodecType: framedJSON})
	wantText(t, e, framed.Call(t.Context(), "Test.Echo", strings.Repeat("x", 5000), nil),
		"rpc client: Test.Echo at AT: arguments of type string are too large for the server, which sets the limit: message exceeds the size limit: 5019 bytes, MaxMessageBytes is 3000")
}

// TestMessages_ReplyNotSent: that a reply can't be sent is the server's fault as a rule,
// and its Logger tells.
func TestMessages_ReplyNotSent(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	var log bytes.Buffer
	e.Logger = slog.New(slog.NewTextHandler(&log, nil))
	client := e.dial(&Option{MaxMessageBytes: 4000})
	for _, method := range []string{"Test.Unencodable", "Test.Text"} { // the second one is the client's fault
		if err := client.Call(t.Context(), method, Args{}, nil); err == nil {
			t.Error("no error of " + method)
		}
	}
	e.Close() // waits for the Logger
	for _, want := range []string{"method=Test.Unencodable", "not registered for interface"} {
		if text := log.String(); strings.Count(text, "reply not sent") != 1 || !strings.Contains(text, want) {
			t.Errorf("%s is not in the log\n%s", want, text)
		}
	}
}

// TestMessages_Fields: an Error has the method and the server, whoever made it, and
// prints all that it has.
func TestMessages_Fields(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	client := e.dial(nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	done := client.Go("Arith.Div", Args{}, nil, nil)
	<-done.Done
	for name, err := range map[string]error{
		"in the client": client.Call(ended, "Arith.Div", Args{1, 0}, nil),
		"in the method": client.Call(t.Context(), "Arith.Div", Args{1, 0}, nil),
		"of Go":         done.Error,
	} {
		var typed *Error
		if !errors.As(err, &typed) || typed.ServiceMethod != "Arith.Div" || typed.Server != e.address() {
			t.Errorf("%s: %+v", name, err)
		}
	}
	err := client.Call(t.Context(), "Arith.Div", Args{1, 0}, nil)
	wantText(t, e, err, "100% of load: division by zero")
	text := "100% of load: division by zero (unknown, in the method, ran: yes, Arith.Div, " + e.address() + ")"
	if got := fmt.Sprintf("%+v", err); got != text {
		t.Errorf("%%+v prints\n%s, want\n%s", got, text)
	}
	if got := fmt.Sprintf("%v|%s|%.4v|%q", err, err, err, err); got != fmt.Sprintf("%[1]s|%[1]s|%.4[1]s|%[1]q", err.Error()) {
		t.Error(got)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("failed", "err", err)
	want := `err.text="100% of load: division by zero" err.code=unknown err.where="in the method" err.ran=yes err.method=Arith.Div err.server=` + e.address()
	if !strings.Contains(log.String(), want) {
		t.Errorf("logged %swant %s", &log, want)
	}
	if got := fmt.Sprintf("%+v", (*Error)(nil)); got != "<nil>" {
		t.Error(got)
	}
}

// TestMessages_Shutdown: a server that has shut down is told apart from one's own Close.
func TestMessages_Shutdown(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	closed, left := e.dial(nil), e.dial(nil)
	closed.Close()
	if err := closed.Call(t.Context(), "Arith.Add", Args{}, nil); err != ErrShutdown {
		t.Errorf("%v, want ErrShutdown itself", err)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		err := left.Call(t.Context(), "Arith.Add", Args{}, nil)
		wantError(t, err, CodeUnavailable, InClient, RanNever)
		if !errors.Is(err, ErrShutdown) {
			t.Errorf("%v is not ErrShutdown", err)
		}
		wantText(t, e, err, "rpc client: Arith.Add at AT: the server has shut down, or closed the connection for being idle: connection is shut down")
		if i == 0 {
			<-left.ended
		}
	}
	left.Close()
	if err := left.Call(t.Context(), "Arith.Add", Args{}, nil); err != ErrShutdown {
		t.Errorf("after Close: %v, want ErrShutdown itself", err)
	}
}

// TestMessages_NilContext: a nil context is an error, whatever wraps the call.
func TestMessages_NilContext(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	var none context.Context
	loses := func(next CallFunc) CallFunc {
		return func(_ context.Context, serviceMethod string, args, reply any) error {
			return next(none, serviceMethod, args, reply)
		}
	}
	const want = "rpc client: Arith.Add at AT: nil context; use context.Background()"
	client := e.dial(nil)
	wantText(t, e, client.Call(none, "Arith.Add", Args{}, nil), want)
	wantText(t, e, e.dial(&Option{Interceptors: []Interceptor{loses}}).Call(t.Context(), "Arith.Add", Args{}, nil), want)
	_, err := Method[Args, Reply]("Arith.Add")(none, client, Args{})
	wantText(t, e, err, want)
	wantText(t, e, client.Ping(none), "rpc client: AT: nil context; use context.Background()")
	wantText(t, e, client.Shutdown(none), "rpc client: AT: nil context; use context.Background()")
	_, err = DialContext(none, "tcp", "x")
	wantText(t, e, err, "rpc client: nil context; use context.Background()")
}

// TestMessages_Dial: an address with a protocol in front is for XDial, and a Dial that
// fails names the server.
func TestMessages_Dial(t *testing.T) {
	e := newMessagesEnv(t, "tcp")
	for _, dial := range []func() (*Client, error){
		func() (*Client, error) { return Dial("tcp", "tcp@127.0.0.1:9") },
		func() (*Client, error) { return DialHTTP("tcp", "http@127.0.0.1:9") },
		func() (*Client, error) { return XDial("tcp@tcp@127.0.0.1:9") },
	} {
		_, err := dial()
		wantError(t, err, CodeInvalidArgument, InClient, RanNever)
		if !strings.Contains(err.Error(), `has a protocol in front: use XDial, or leave "127.0.0.1:9" of it`) {
			t.Error(err)
		}
	}
	e.Token = "secret"
	_, err := e.tryDial(nil)
	var typed *Error
	if !errors.As(err, &typed) || typed.Server != e.address() {
		t.Errorf("%+v", err)
	}
}

// TestMessages_Panic: a panic's log has the peer, and the functions that led to it, one by
// one, the guilty one first.
func TestMessages_Panic(t *testing.T) {
	pass := func(next CallFunc) CallFunc { return next }
	for name, interceptors := range map[string][]Interceptor{"plain": nil, "intercepted": {pass}} {
		t.Run(name, func(t *testing.T) {
			e := newMessagesEnv(t, "tcp")
			var log bytes.Buffer
			e.Logger, e.Interceptors = slog.New(slog.NewJSONHandler(&log, nil)), interceptors
			client := e.dial(nil)
			port := client.link.Conn.(net.Conn).LocalAddr().(*net.TCPAddr).Port
			if err := client.Call(t.Context(), "Arith.Panic", Args{}, nil); CodeOf(err) != CodeInternal {
				t.Fatal(err)
			}
			e.Close() // waits for the Logger
			var line struct {
				Msg, Method string
				Peer        net.TCPAddr
				Stack       []string
			}
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%v: %s", err, &log)
			}
			if line.Msg != "rpc server: method panicked" || line.Method != "Arith.Panic" || line.Peer.Port != port {
				t.Errorf("logged %s, want the peer's port %d", &log, port)
			}
			if len(line.Stack) == 0 || !strings.HasPrefix(line.Stack[0], "geerpc.(*Arith).Panic (") || !strings.Contains(line.Stack[0], "helper_test.go:") {
				t.Errorf("the stack is %q", line.Stack)
			}
		})
	}
}

// The functions of net/rpc that work on the DefaultServer are there.
func TestDefaultServer_NetRPCsFunctions(t *testing.T) {
	if err := RegisterName("DefaultSums", new(Arith), "Add"); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); ServeConn(far) }()
	client, err := NewClient(near, nil)
	if err != nil {
		t.Fatal(err)
	}
	var reply Reply
	if err := client.Call(t.Context(), "DefaultSums.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
		t.Errorf("%v, %v", reply, err)
	}
	client.Close()
	<-served
}
