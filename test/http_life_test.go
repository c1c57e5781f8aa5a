package test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/rpctest"
)

// A gate is a method that reports when it has begun, and waits for its context to end, or
// to be opened whatever becomes of that.
type gate struct{ begun, ended, open chan struct{} }

func newGate() *gate {
	return &gate{begun: make(chan struct{}, 10), ended: make(chan struct{}, 10), open: make(chan struct{})}
}

// eachGate is eachWay with a gate for each.
func eachGate(t *testing.T, configure func(*geerpc.Server), f func(t *testing.T, w *web, g *gate)) {
	var g *gate
	eachWay(t, func(s *geerpc.Server) {
		g = newGate()
		g.register(s)
		configure(s)
	}, func(t *testing.T, w *web) { f(t, w, g) })
}

func asItIs(*geerpc.Server) {}

func (g *gate) register(s *geerpc.Server) {
	geerpc.RegisterFunc(s, "Gate.Wait", func(ctx context.Context, _ struct{}) (string, error) {
		g.begun <- struct{}{}
		select {
		case <-g.open:
			return "opened", nil
		case <-ctx.Done():
			g.ended <- struct{}{}
			return "", ctx.Err()
		}
	})
	geerpc.RegisterFunc(s, "Gate.Ignore", func(ctx context.Context, _ struct{}) (string, error) {
		g.begun <- struct{}{}
		<-g.open
		return "opened", nil
	})
}

// wait waits for what should come at once.
func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patient):
		t.Fatal("never came: ", what)
	}
}

// send sends a request on a goroutine of its own.
func (w *web) send(req *http.Request) <-chan httpReply {
	replies := make(chan httpReply, 1)
	go func() { // ends with the answer
		reply, err := w.do(req)
		if err != nil {
			reply.Body = err.Error()
		}
		replies <- reply
	}()
	return replies
}

// A client that hangs up ends the context of its method, also of those in a batch.
func TestHTTP_ClientHangsUp(t *testing.T) {
	for _, c := range []struct{ path, body string }{{"/Gate/Wait", ""}, {"/", `[{"jsonrpc":"2.0","method":"Gate.Wait","id":1}]`}} {
		eachGate(t, asItIs, func(t *testing.T, w *web, g *gate) {
			ctx, cancel := context.WithCancel(t.Context())
			reply := w.send(w.request(http.MethodPost, c.path, c.body).WithContext(ctx))
			wait(t, "the call", g.begun)
			cancel()
			wait(t, "the end of its context", g.ended)
			<-reply
		})
	}
}

// A handle timeout is answered in time, although the method goes on. The connection is free
// for the next call then.
func TestHTTP_HandleTimeout(t *testing.T) {
	eachGate(t, func(s *geerpc.Server) { s.HandleTimeout = 20 * time.Millisecond }, func(t *testing.T, w *web, g *gate) {
		wantHTTPError(t, w.post("/Gate/Ignore", ""), 504, "deadline_exceeded", "method", "maybe", "handle timeout")
		if r := w.post("/", `[{"jsonrpc":"2.0","method":"Gate.Ignore","id":1},{"jsonrpc":"2.0","method":"Arith.Add","id":2}]`); !strings.Contains(r.Body, `"deadline_exceeded"`) || !strings.Contains(r.Body, `{"C":0}`) {
			t.Errorf("a batch: %+v", r)
		}
		if r := w.post("/Arith/Add", `{"A":1}`); r.Body != "{\"C\":1}\n" {
			t.Errorf("another call: %+v", r)
		}
		shut := make(chan error, 1)
		go func() { shut <- w.Shutdown(context.Background()) }() // ends when the methods do
		<-time.After(50 * time.Millisecond)                      // time for it to return too early
		select {
		case <-shut:
			t.Error("Shutdown has not waited for methods that go on")
		default:
		}
		close(g.open)
		if err := <-shut; err != nil {
			t.Error(err)
		}
	})
}

// Shutdown waits for requests that are under way, and refuses others.
func TestHTTP_Shutdown(t *testing.T) {
	eachGate(t, asItIs, func(t *testing.T, w *web, g *gate) {
		replies := []<-chan httpReply{w.send(w.request("POST", "/Gate/Wait", "")), w.send(w.request("POST", "/", `[{"jsonrpc":"2.0","method":"Gate.Wait","id":1}]`))}
		wait(t, "a call", g.begun)
		wait(t, "another call", g.begun)
		shut := make(chan error, 1)
		go func() { shut <- w.Shutdown(context.Background()) }() // ends with the calls
		eventually(t, "calls are refused", func() bool {
			r, err := w.do(w.request("POST", "/Arith/Add", ""))
			if err != nil {
				return strings.HasPrefix(w.way, "port") // whose listener is closed
			}
			if r.Status != 200 {
				wantHTTPError(t, r, 503, "unavailable", "server", "never", "shutting down")
			}
			return r.Status != 200
		})
		select {
		case err := <-shut:
			t.Fatalf("Shutdown has not waited: %v", err)
		default:
		}
		close(g.open)
		for _, reply := range replies {
			if r := <-reply; r.Status != 200 || !strings.Contains(r.Body, `"opened"`) {
				t.Errorf("answer is %+v", r)
			}
		}
		if err := <-shut; err != nil {
			t.Error(err)
		}
	})
}

// Close ends requests at once, even those whose methods go on.
func TestHTTP_Close(t *testing.T) {
	eachGate(t, asItIs, func(t *testing.T, w *web, g *gate) {
		replies := []<-chan httpReply{w.send(w.request("POST", "/Gate/Wait", "")), w.send(w.request("POST", "/Gate/Ignore", ""))}
		wait(t, "a call", g.begun)
		wait(t, "another call", g.begun)
		w.Close()
		for _, reply := range replies {
			if r := <-reply; r.Status != 0 || !strings.HasPrefix(w.way, "port") { // whose connection may be closed sooner
				wantHTTPError(t, r, 503, "unavailable", "link", "maybe", "server closed")
			}
		}
		wait(t, "the end of the context", g.ended)
		close(g.open)
	})
}

// Requests are no connections: they count towards no limit, and are in no list. The calls
// are in the numbers.
func TestHTTP_NoConnections(t *testing.T) {
	g := newGate()
	w := newWeb(t, "mux", func(s *geerpc.Server) {
		g.register(s)
		s.MaxConns = 1
	})
	replies := make([]<-chan httpReply, 3)
	for i := range replies {
		replies[i] = w.send(w.request("POST", "/Gate/Wait", ""))
		wait(t, "the call", g.begun)
	}
	if page := debugPage(t, w); page.Connections.Open != 0 || len(page.Connections.List) != 0 || len(page.Running) != len(replies) || page.InFlight != int64(len(replies)) {
		t.Errorf("the page is %+v", page)
	}
	close(g.open)
	for _, reply := range replies {
		if r := <-reply; r.Status != 200 {
			t.Errorf("answer is %+v", r)
		}
	}
}

// debugPage returns what the server's debug page shows.
func debugPage(t *testing.T, w *web) (page struct {
	InFlight    int64 `json:"in_flight"`
	Running     []struct{ Method, Peer string }
	Refused     []struct{ Reason, Peer string }
	Connections struct {
		Open int
		List []any
	}
}) {
	rec := httptest.NewRecorder()
	w.DebugHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/?format=json", nil))
	if err := json.Unmarshal(rec.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	return page
}

// There may be MaxInFlight requests at a time. A method that goes on after its handle timeout
// counts, or a client could start any number of them.
func TestHTTP_MaxInFlight(t *testing.T) {
	eachGate(t, func(s *geerpc.Server) { s.MaxInFlight, s.HandleTimeout = 2, 20*time.Millisecond }, func(t *testing.T, w *web, g *gate) {
		for range 2 {
			wantHTTPError(t, w.post("/Gate/Ignore", ""), 504, "deadline_exceeded", "method", "maybe", "handle timeout")
		}
		wantHTTPError(t, w.post("/Arith/Add", ""), 429, "resource_exhausted", "server", "never", "2 requests at a time that Server.MaxInFlight")
		close(g.open)
		eventually(t, "a call is served", func() bool { return w.post("/Arith/Add", "").Status == 200 })
	})
}

// A connection to the server's own port counts towards MaxConns. One more is told why it is
// refused.
func TestHTTP_MaxConns(t *testing.T) {
	w := newWeb(t, "port", func(s *geerpc.Server) { s.MaxConns = 1 })
	if r := w.post("/Arith/Add", ""); r.Status != 200 {
		t.Errorf("answer is %+v", r)
	}
	got := w.raw(head("Content-Length: 0"), "")
	if !strings.HasPrefix(got, "HTTP/1.1 503 Service Unavailable\r\n") || !strings.Contains(got, `{"code":"resource_exhausted","message":"all connections are taken`) {
		t.Errorf("answer is %q", got)
	}
}

// All that a server does with calls, it does with these.
func TestHTTP_Dispatch(t *testing.T) {
	var intercepted, asked atomic.Int32
	eachWay(t, func(s *geerpc.Server) {
		registerSee(s)
		s.Admit = []func(context.Context, string) error{func(ctx context.Context, method string) error {
			asked.Add(1)
			if geerpc.MetadataFrom(ctx)["tenant"] == "red" {
				return errors.New("not for red")
			}
			return nil
		}}
		s.Interceptors = []geerpc.Interceptor{rpctest.Intercept[geerpc.CallFunc](func(ctx context.Context, next geerpc.CallFunc, method string, args, reply any) error {
			intercepted.Add(1)
			return next(ctx, method, args, reply)
		})}
	}, func(t *testing.T, w *web) {
		asked.Store(0)
		intercepted.Store(0)
		wantHTTPError(t, w.post("/Arith/Add", "no JSON", "Metadata-Tenant", "red"), 403, "permission_denied", "server", "never", "not for red")
		if r := w.post("/Arith/Add", "", "Metadata-Tenant", "blue"); r.Status != 200 || asked.Load() != 2 || intercepted.Load() != 1 {
			t.Errorf("%+v; asked %d times, intercepted %d times", r, asked.Load(), intercepted.Load())
		}
	})
}

// A server answers POST and then CONNECT on one connection.
func TestHTTP_ConnectAfterPost(t *testing.T) {
	w := newWeb(t, "port", nil)
	const end = "200 Connected to Gee RPC\r\n\r\n"
	got := w.raw("POST /Arith/Add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"A\":1}"+
		"CONNECT /_geeprc_ HTTP/1.1\r\nHost: localhost\r\n\r\n", end)
	if !strings.Contains(got, "\r\n\r\n{\"C\":1}\n") || !strings.HasSuffix(got, end) {
		t.Errorf("answers are %q", got)
	}
}

// raw sends text on a connection of its own, and returns what comes back up to and with
// end, or until the server hangs up.
func (w *web) raw(text, end string) (got string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.Split(w.url, "/")[2])
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patient))
	io.WriteString(conn, text)
	for in := bufio.NewReader(conn); end == "" || !strings.HasSuffix(got, end); {
		b, err := in.ReadByte()
		if err != nil {
			return got
		}
		got += string(b)
	}
	return got
}

// TestA12_HTTPClientThatNeverReads: a client of the server's own port that takes nothing, or
// sends no body, is given up.
func TestA12_HTTPClientThatNeverReads(t *testing.T) {
	for name, sends := range map[string]string{
		"takes nothing":             "POST /Large/Reply HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
		"sends no body":             head("Content-Length: 10"),
		"sends no body and no JSON": strings.Replace(head("Content-Length: 10"), "json", "xml", 1),
		"sends a part of it":        head("Content-Length: 10") + "{",
		"sends a part of chunk":     head("Transfer-Encoding: chunked") + "5\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, "port", func(s *geerpc.Server) {
				s.FlushTimeout, s.ReadTimeout = 50*time.Millisecond, 50*time.Millisecond
				geerpc.RegisterFunc(s, "Large.Reply", func(context.Context, struct{}) (string, error) { return strings.Repeat("x", 16<<20), nil })
			})
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			eventually(t, "the server knows the connection", func() bool { return debugPage(t, w).Connections.Open == 1 })
			io.WriteString(conn, sends)
			eventually(t, "it has been closed", func() bool { return debugPage(t, w).Connections.Open == 0 })
		})
	}
}

// A client that is slow, but not that slow, is served, and its connection is used again.
func TestHTTP_SlowClient(t *testing.T) {
	const limit, pause = 500 * time.Millisecond, 100 * time.Millisecond
	w := newWeb(t, "port", func(s *geerpc.Server) {
		s.ReadTimeout = limit
		geerpc.RegisterFunc(s, "Sleep.For", func(ctx context.Context, d time.Duration) (string, error) {
			select {
			case <-time.After(d):
				return "slept", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := fmt.Sprint(int64(2 * limit))
	in := bufio.NewReader(conn)
	for range 2 {
		io.WriteString(conn, strings.Replace(head(fmt.Sprint("Content-Length: ", len(body))), "Arith/Add", "Sleep/For", 1))
		for _, digit := range body {
			<-time.After(pause)
			io.WriteString(conn, string(digit))
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || err != nil {
			t.Errorf("answer is %s %s, %v", resp.Status, text, err)
		}
	}
}
