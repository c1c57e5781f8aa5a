package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"net/rpc/jsonrpc"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/introspect"
	"geerpc/internal/rpctest"
)

// What a Server's fields, and its end, do to clients of the standard library.

// A stockProtocol is what such a client speaks.
type stockProtocol struct {
	name      string
	newClient func(io.ReadWriteCloser) *rpc.Client
	protocol  *geerpc.Protocol
	goneIn    time.Duration // when the contexts of a client that has gone have ended
}

var stockProtocols = []stockProtocol{
	{"net/rpc", rpc.NewClient, geerpc.NetRPC, 0},
	{"jsonrpc", jsonrpc.NewClient, geerpc.JSONRPC, 2 * time.Second},
}

// eachStockProtocol runs f with a server of each, which newClient starts.
func eachStockProtocol(t *testing.T, transport string, f func(t *testing.T, e *stockEnv, p stockProtocol)) {
	for _, p := range stockProtocols {
		t.Run(p.name, func(t *testing.T) { f(t, newStockEnv(t, transport), p) })
	}
}

// dial returns a client, closed with the test.
func (p stockProtocol) dial(e *stockEnv) *rpc.Client {
	e.t.Helper()
	client := p.newClient(e.bare())
	e.t.Cleanup(func() { client.Close() })
	return client
}

// TestNetRPC_ClientGone has clients leave with calls in flight: their methods' contexts
// end, and the server goes on.
func TestNetRPC_ClientGone(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		gate := e.gate()
		other, client := p.dial(e), p.dial(e)
		call := client.Go("Gate.WaitContext", 1, new(int), nil)
		gate.await(t)
		client.Close()
		select {
		case err := <-gate.ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the context ended with %v", err)
			}
		case <-time.After(p.goneIn + patient):
			t.Fatal("the context of a client that has gone does not end")
		}
		stockAwait(t, call)
		stockAdd(t, other)
	})
}

// TestNetRPC_HalfClosed has a client close its side behind its calls. They are answered,
// those of methods without a context also where they are still running.
func TestNetRPC_HalfClosed(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		gate := e.gate()
		conn := e.bare()
		client := p.newClient(conn)
		t.Cleanup(func() { client.Close() })
		var calls []*rpc.Call
		for i := range 50 {
			calls = append(calls, client.Go("Stock.Add", Args{i, 1}, new(Reply), nil))
		}
		calls = append(calls, client.Go("Gate.Wait", 1, new(int), nil))
		conn.(*net.TCPConn).CloseWrite()
		gate.await(t)
		gate.open <- true
		for i, call := range calls {
			if err := stockAwait(t, call); err != nil {
				t.Fatalf("call %d: %v", i, err)
			}
		}
	})
}

// TestNetRPC_LargeMessages sends what is large, and what is larger than allowed: that ends
// its own connection.
func TestNetRPC_LargeMessages(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		e.MaxMessageBytes = 1 << 20
		other, client := p.dial(e), p.dial(e)
		data := make([]byte, 600<<10)
		for i := range data {
			data[i] = byte(i * i >> 7)
		}
		var reply []byte
		if err := stockCall(t, client, "Stock.Echo", data, &reply); err != nil || !slices.Equal(reply, data) {
			t.Errorf("of %d bytes %d came back: %v", len(data), len(reply), err)
		}
		if err := stockCall(t, client, "Stock.Echo", make([]byte, 2<<20), &reply); err == nil {
			t.Error("a message that is too large was answered")
		}
		stockAdd(t, other)
	})
}

// TestNetRPC_Shutdown answers the calls in flight, and then closes the connection.
func TestNetRPC_Shutdown(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		gate := e.gate()
		client, idle := p.dial(e), p.dial(e)
		stockAdd(t, idle)
		var calls []*rpc.Call
		for i := range 5 {
			calls = append(calls, client.Go([]string{"Gate.Wait", "Gate.WaitContext"}[i%2], i, new(int), nil))
			gate.await(t)
		}
		done := make(chan error)
		ctx, cancel := context.WithTimeout(context.Background(), 2*patient)
		defer cancel()
		go func() { done <- e.Shutdown(ctx) }()
		<-e.served
		e.served <- nil // for the test's cleanup
		for range calls {
			gate.open <- true
		}
		for i, call := range calls {
			if err := stockAwait(t, call); err != nil || *call.Reply.(*int) != i {
				t.Errorf("call %d: %v, %v", i, call.Reply, err)
			}
		}
		if err := <-done; err != nil {
			t.Error("Shutdown: ", err)
		}
		for _, c := range []*rpc.Client{client, idle} {
			if err := stockCall(t, c, "Stock.Add", Args{1, 2}, new(Reply)); err == nil {
				t.Error("a call was answered after Shutdown")
			}
		}
	})
}

// inBubble runs f in a synctest bubble with a client of the server, over a pipe. Served is
// closed at the end of the connection.
func (p stockProtocol) inBubble(t *testing.T, server *geerpc.Server, f func(t *testing.T, client *rpc.Client, served chan bool)) {
	t.Run(p.name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			served := make(chan bool)
			go func() { server.ServeConn(far); close(served) }()
			client := p.newClient(near)
			f(t, client, served)
			client.Close()
			<-served
		})
	})
}

// TestNetRPC_IdleTimeout closes a connection that has had no call for a time, and no
// sooner.
func TestNetRPC_IdleTimeout(t *testing.T) {
	for _, p := range stockProtocols {
		server := &geerpc.Server{IdleTimeout: time.Minute}
		server.Register(new(Stock))
		p.inBubble(t, server, func(t *testing.T, client *rpc.Client, served chan bool) {
			for range 3 {
				stockAdd(t, client)
				time.Sleep(59 * time.Second)
			}
			stockAdd(t, client)
			time.Sleep(61 * time.Second)
			<-served
			synctest.Wait()
			if err := client.Call("Stock.Add", Args{1, 2}, new(Reply)); !errors.Is(err, rpc.ErrShutdown) {
				t.Errorf("behind the idle timeout: %v", err)
			}
		})
	}
}

// TestNetRPC_Silent has clients that are silent: before their first call they may be so for
// minutes, and behind it for ever.
func TestNetRPC_Silent(t *testing.T) {
	for _, p := range stockProtocols {
		server := new(geerpc.Server)
		server.Register(new(Stock))
		p.inBubble(t, server, func(t *testing.T, client *rpc.Client, _ chan bool) {
			for _, silence := range []time.Duration{4 * time.Minute, 24 * time.Hour} {
				time.Sleep(silence)
				stockAdd(t, client)
			}
		})
		p.inBubble(t, server, func(t *testing.T, client *rpc.Client, served chan bool) {
			time.Sleep(6 * time.Minute)
			<-served
		})
	}
}

// TestNetRPC_MaxInFlight has more calls than a connection may have in flight: the server
// does not read the rest before some have ended.
func TestNetRPC_MaxInFlight(t *testing.T) {
	const limit, calls = 3, 10
	for _, p := range stockProtocols {
		server := &geerpc.Server{MaxInFlight: limit}
		p.inBubble(t, server, func(t *testing.T, client *rpc.Client, _ chan bool) {
			gate := &Gate{entered: make(chan int, calls), open: make(chan bool)}
			server.Register(gate)
			done := make(chan *rpc.Call, calls)
			go func() { // waits while nothing is read
				for i := range calls {
					client.Go("Gate.Wait", i, new(int), done)
				}
			}()
			for ended := range calls {
				synctest.Wait()
				if begun := len(gate.entered); begun != min(ended+limit, calls) {
					t.Errorf("when %d calls have ended, %d have begun", ended, begun)
				}
				gate.open <- true
				if call := <-done; call.Error != nil {
					t.Error(call.Error)
				}
			}
		})
	}
}

// TestNetRPC_Refused has clients that are not welcome. They hear why as the error of their
// first call, because that is the only thing that they listen to.
func TestNetRPC_Refused(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(e *stockEnv)
		says    string
	}{
		"token":    {func(e *stockEnv) { e.Token = "secret" }, "rpc server: a token is required"},
		"codecs":   {func(e *stockEnv) { e.Codecs = []codec.Type{framedJSON} }, "is not for this server, which takes the codecs"},
		"maxconns": {func(e *stockEnv) { e.MaxConns = 1; e.dial(nil) }, "all connections are taken, no more are allowed by Server.MaxConns (1)"},
	} {
		t.Run(name, func(t *testing.T) {
			eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
				c.prepare(e)
				client := p.dial(e)
				err := stockCall(t, client, "Stock.Add", Args{1, 2}, new(Reply))
				var heard rpc.ServerError
				if !errors.As(err, &heard) || !strings.Contains(string(heard), c.says) {
					t.Errorf("the first call: %T %v, want %q", err, err, c.says)
				}
				if err := stockCall(t, client, "Stock.Add", Args{1, 2}, new(Reply)); err == nil || errors.As(err, &heard) {
					t.Errorf("the second call, on a connection that is closed: %v", err)
				}
			})
		})
	}
}

// TestNetRPC_Allowed is the other half of TestNetRPC_Refused.
func TestNetRPC_Allowed(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		e.Codecs, e.Protocols, e.MaxConns = []codec.Type{p.protocol.CodecType}, []*geerpc.Protocol{p.protocol}, 2
		stockAdd(t, p.dial(e))
		last := p.dial(e)
		stockAdd(t, last)
		last.Close()
		rpctest.Eventually(t, "a place is free again", func() bool {
			return stockCall(t, p.dial(e), "Stock.Add", Args{1, 2}, new(Reply)) == nil
		})
	})
}

// TestNetRPC_SwitchedOff has a server whose Protocols are others, and one that wants TLS.
// The client is told, and what it logs says what came.
func TestNetRPC_SwitchedOff(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(e *stockEnv)
		hears   string
		logs    string
	}{
		"protocols": {func(e *stockEnv) { e.Protocols = []*geerpc.Protocol{geerpc.GeeRPC} }, "this port does not speak", "not a protocol that is served here"},
		"tls":       {func(e *stockEnv) { e.secure() }, "this port wants TLS", "this port wants TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
				logger, logged := rpctest.Logger()
				e.Logger = logger
				c.prepare(e)
				if err := stockCall(t, p.dial(e), "Stock.Add", Args{1, 2}, new(Reply)); err == nil || !strings.Contains(err.Error(), c.hears) {
					t.Errorf("the call ended with %v, want %q", err, c.hears)
				}
				ours, err := geerpc.NewClient(geerpc.NewConn(e.bare()), &geerpc.Option{Protocol: p.protocol})
				if err == nil {
					err = ours.Call(t.Context(), "Stock.Add", Args{1, 2}, new(Reply))
					ours.Close()
				}
				if err == nil || !strings.Contains(err.Error(), c.hears) {
					t.Errorf("our client's call ended with %v, want %q", err, c.hears)
				}
				rpctest.Eventually(t, "it is logged", func() bool { return strings.Contains(logged.String(), c.logs) })
			})
		})
	}
}

// TestNetRPC_DialHTTPWithoutTLS: the status line is all that DialHTTP shows of an answer.
func TestNetRPC_DialHTTPWithoutTLS(t *testing.T) {
	e := newStockEnv(t, "tcp")
	e.secure()
	if _, err := rpc.DialHTTP("tcp", e.addr()); err == nil || !strings.Contains(err.Error(), "this port wants TLS") {
		t.Errorf("DialHTTP: %v", err)
	}
}

// TestNetRPC_HandleTimeout answers a call in time, also if its method goes on.
func TestNetRPC_HandleTimeout(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		e.HandleTimeout = 50 * time.Millisecond
		gate := e.gate()
		client := p.dial(e)
		for _, method := range []string{"Gate.Wait", "Gate.WaitContext"} {
			err := stockCall(t, client, method, 1, new(int))
			if err == nil || !strings.Contains(err.Error(), "handle timeout") && !errors.Is(<-gate.ended, context.DeadlineExceeded) {
				t.Errorf("%s: %v", method, err)
			}
		}
		stockAdd(t, client)
	})
}

// TestNetRPC_AdmitAndInterceptors has both see these calls like any other, with the peer.
func TestNetRPC_AdmitAndInterceptors(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		var mu sync.Mutex
		var seen []string // guarded by mu
		note := func(ctx context.Context, what string) {
			mu.Lock()
			defer mu.Unlock()
			if peer, ok := geerpc.PeerFrom(ctx); !ok || peer.Addr == nil {
				t.Errorf("%s has no peer", what)
			}
			seen = append(seen, what)
		}
		e.Admit = []func(context.Context, string) error{func(ctx context.Context, method string) error {
			note(ctx, "admit "+method)
			if method == "Stock.Mul" {
				return errors.New("no products today")
			}
			return nil
		}}
		e.Interceptors = []geerpc.Interceptor{rpctest.Intercept(func(ctx context.Context, next geerpc.CallFunc, method string, args, reply any) error {
			note(ctx, "intercept "+method)
			if err := next(ctx, method, args, reply); err != nil {
				return geerpc.Errorf(geerpc.CodeInternal, "intercepted: %w", err)
			}
			return nil
		})}
		client := p.dial(e)
		stockAdd(t, client)
		wantServerError(t, stockCall(t, client, "Stock.Mul", Args{1, 2}, new(Reply)), "no products today")
		wantServerError(t, stockCall(t, client, "Stock.Div", Args{1, 0}, new(Reply)), "intercepted: divide by zero: 100% of it")
		wantServerError(t, stockCall(t, client, "Stock.None", Args{1, 0}, new(Reply)), "intercepted: rpc: can't find method Stock.None")
		want := []string{"admit Stock.Add", "intercept Stock.Add", "admit Stock.Mul", "admit Stock.Div", "intercept Stock.Div", "intercept unknown"}
		if mu.Lock(); !slices.Equal(seen, want) {
			t.Errorf("seen are %q, want %q", seen, want)
		}
		mu.Unlock()
	})
}

// TestNetRPC_TLSPeer has a method see the TLS of its caller.
func TestNetRPC_TLSPeer(t *testing.T) {
	e := newStockEnv(t, "tcp")
	e.secure()
	geerpc.RegisterFunc(e.Server, "Peer.TLS", func(ctx context.Context, _ int) (bool, error) {
		peer, _ := geerpc.PeerFrom(ctx)
		return peer.TLS != nil && peer.TLS.Version == tls.VersionTLS13, nil
	})
	var secured bool
	client := e.stock(stockWay{dial: dialStockTLS})
	if err := stockCall(t, client, "Peer.TLS", 1, &secured); err != nil || !secured {
		t.Errorf("the peer has TLS: %v, %v", secured, err)
	}
}

// TestNetRPC_Stats counts the calls, and a client can ask for that itself.
func TestNetRPC_Stats(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		client := p.dial(e)
		for range 3 {
			stockAdd(t, client)
		}
		stockCall(t, client, "Stock.Div", Args{1, 0}, new(Reply))
		stockCall(t, client, "Stock.Add", "wrong", new(Reply))
		var stats introspect.Statistics
		if err := stockCall(t, client, introspect.Stats, introspect.Args{}, &stats); err != nil {
			t.Fatal(err)
		}
		got := map[string][2]int64{}
		for _, m := range stats.Methods {
			if m.Calls > 0 {
				got[m.Method] = [2]int64{m.Calls, m.Errors}
			}
		}
		if want := map[string][2]int64{"Stock.Add": {4, 1}, "Stock.Div": {1, 1}}; !reflect.DeepEqual(got, want) || stats.Connections != 1 {
			t.Errorf("the counts are %v on %d connections, want %v", got, stats.Connections, want)
		}
	})
}

// TestNetRPC_Ordered runs the calls of a client in the order in which they were sent.
func TestNetRPC_Ordered(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		e.Ordered = true
		var ran []int // by one call at a time
		geerpc.RegisterFunc(e.Server, "Note.Down", func(_ context.Context, i int) (int, error) {
			ran = append(ran, i)
			return i, nil
		})
		client := p.dial(e)
		var calls []*rpc.Call
		for i := range 100 {
			calls = append(calls, client.Go("Note.Down", i, new(int), nil))
		}
		for _, call := range calls {
			if err := stockAwait(t, call); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.IsSorted(ran) || len(ran) != len(calls) {
			t.Errorf("the calls ran in the order %v", ran)
		}
	})
}

// TestNetRPC_DebugPage shows these connections and their calls. Of missing methods it says
// more than their clients are told.
func TestNetRPC_DebugPage(t *testing.T) {
	eachStockProtocol(t, "tcp", func(t *testing.T, e *stockEnv, p stockProtocol) {
		client := p.dial(e)
		stockAdd(t, client)
		stockCall(t, client, "stock.Add", Args{}, new(Reply))
		page := httptest.NewRecorder()
		e.DebugHandler().ServeHTTP(page, httptest.NewRequest("GET", "/?format=json", nil))
		for _, text := range []string{`"` + p.protocol.Name + `"`, "can't find service stock; is Stock meant?"} {
			if !strings.Contains(page.Body.String(), text) {
				t.Errorf("the page does not say %s:\n%s", text, page.Body)
			}
		}
	})
}

// TestNetRPC_HandleHTTPPath has a Server at paths of http.DefaultServeMux, as net/rpc's.
func TestNetRPC_HandleHTTPPath(t *testing.T) {
	e := newStockEnv(t, "tcp")
	path := fmt.Sprintf("/%p", e) // for -count
	e.HandleHTTPPath(path+"/rpc", path+"/debug")
	web := httptest.NewServer(nil)
	defer web.Close()
	defer e.Close()
	client, err := rpc.DialHTTPPath("tcp", web.Listener.Addr().String(), path+"/rpc")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stockAdd(t, client)
	response, err := http.Get(web.URL + path + "/debug")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if page, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(page), "Mul") {
		t.Errorf("the debug page is %s, %v", page, err)
	}
}
