package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

type Arith struct{}

func (Arith) Double(n int, reply *int) error { *reply = 2 * n; return nil }

type Clock struct{}

func (Clock) Now(_ struct{}, reply *time.Time) error { *reply = time.Now(); return nil }

// A running is a server that Serve serves.
type running struct {
	*geerpc.Server
	addr  string
	ended chan error
}

// serve serves on a port of its own.
func serve(t *testing.T, c Config, services ...any) *running {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &running{geerpc.NewServer(), "tcp@" + lis.Addr().String(), make(chan error, 1)}
	for _, rcvr := range services {
		if err := s.Register(rcvr); err != nil {
			t.Fatal(err)
		}
	}
	go func() { s.ended <- Serve(s.Server, lis, c) }() // until the server is closed; the tests wait on ended
	t.Cleanup(func() { s.Close() })
	return s
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-time.After(time.Millisecond) { // between two looks; nothing says when it holds
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// TestServe: a server is there from when it serves until it shuts down, and
// gone before it refuses a call.
func TestServe(t *testing.T) {
	r := New(time.Minute)
	web := httptest.NewServer(r)
	defer web.Close()
	s := serve(t, Config{Registries: []string{web.URL}, Weight: 3, Metadata: map[string]string{"zone": "b"}, Interval: time.Second}, new(Arith))
	eventually(t, "registered", func() bool { return len(r.Servers()) == 1 })
	got := r.Servers()[0]
	if got.Addr != s.addr || got.Weight != 3 || got.Metadata["zone"] != "b" || !slices.Equal(got.Services, []string{"Arith"}) || got.Legacy {
		t.Errorf("registered as %+v", got)
	}
	client, err := geerpc.XDial(got.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := s.Register(new(Clock)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a service added later is told", func() bool { return len(r.Servers()[0].Services) == 2 })

	// While it deregisters it takes calls.
	var reply int
	s.OnShutdown(func(ctx context.Context) { // at the same time as Serve's own
		for list(r) != "" && ctx.Err() == nil {
			<-time.After(time.Millisecond) // between two looks
		}
		if err := client.Call(ctx, "Arith.Double", 21, &reply); err != nil || reply != 42 {
			t.Errorf("a call meanwhile: %d, %v", reply, err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-s.ended; !errors.Is(err, geerpc.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	if reply != 42 || list(r) != "" {
		t.Errorf("reply %d, list %q", reply, list(r))
	}
}

// TestA25_ServeEnds: however it ends, the server is deregistered.
func TestA25_ServeEnds(t *testing.T) {
	for name, end := range map[string]func(*geerpc.Server, net.Listener){
		"Close":    func(s *geerpc.Server, _ net.Listener) { s.Close() },
		"Shutdown": func(s *geerpc.Server, _ net.Listener) { s.Shutdown(context.Background()) },
		"listener": func(_ *geerpc.Server, lis net.Listener) { lis.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := New(time.Minute)
			web := httptest.NewServer(r)
			defer web.Close()
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := geerpc.NewServer()
			ended := make(chan error, 1)
			go func() { ended <- Serve(server, lis, Config{Registries: []string{web.URL}}) }() // until end
			eventually(t, "registered", func() bool { return list(r) != "" })
			end(server, lis)
			if err := <-ended; err == nil || list(r) != "" {
				t.Errorf("Serve: %v, list %q", err, list(r))
			}
		})
	}
}

// TestServeWithARegistryThatHangs: serving begins at once, and the end waits
// for two seconds at most; the other registry is told everything.
func TestServeWithARegistryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Int64
		w := &wire{handler: New(time.Minute), fault: func(_ int, req *http.Request) (*http.Response, error) {
			if req.URL.Host != "hangs" {
				return nil, nil
			}
			hung.Add(1)
			defer hung.Add(-1)
			<-req.Context().Done()
			return nil, req.Context().Err()
		}}
		lis := &listener{accepting: make(chan struct{}), closed: make(chan struct{})}
		server := geerpc.NewServer()
		ended := make(chan error, 1)
		go func() { // until Shutdown
			ended <- Serve(server, lis, Config{Registries: []string{"http://hangs", "http://registry"}, Client: w.client()})
		}()
		begin := time.Now()
		<-lis.accepting
		synctest.Wait()
		if took := time.Since(begin); took > 0 || list(w.handler) != "tcp@10.0.0.1:9999" {
			t.Errorf("after %s: %q", took, list(w.handler))
		}
		time.Sleep(time.Minute)
		for hung.Load() == 0 { // in the middle of a request
			time.Sleep(time.Second)
		}
		begin = time.Now()
		time.AfterFunc(time.Millisecond, func() {
			if got := list(w.handler); got != "" {
				t.Errorf("the one that works still has %q", got)
			}
		})
		server.Shutdown(context.Background())
		<-ended
		if took := time.Since(begin); took > leaveLimit || hung.Load() != 0 {
			t.Errorf("Shutdown took %s, and %d requests are left", took, hung.Load())
		}
	})
}

// TestShutdownWithSeveralListeners: leaving a registry that hangs takes two
// seconds, and not two for each listener.
func TestShutdownWithSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{fault: func(_ int, req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}}
		server := geerpc.NewServer()
		const listeners = 4
		ended := make(chan error, listeners)
		for range listeners {
			lis := &listener{accepting: make(chan struct{}), closed: make(chan struct{})}
			go func() { // until Shutdown
				ended <- Serve(server, lis, Config{Registries: []string{"http://hangs"}, Client: w.client()})
			}()
			<-lis.accepting
		}
		begin := time.Now()
		if err := server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took > leaveLimit {
			t.Errorf("Shutdown took %s", took)
		}
		for range listeners {
			<-ended
		}
	})
}

// A listener is one without a network.
type listener struct {
	addr      string
	accepting chan struct{} // closed when Accept is called first
	closed    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	close(l.accepting)
	<-l.closed
	return nil, net.ErrClosed
}

func (l *listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *listener) Addr() net.Addr { return l }

func (l *listener) Network() string { return "tcp" }

func (l *listener) String() string {
	if l.addr == "" {
		return "10.0.0.1:9999"
	}
	return l.addr
}

// TestServeRefuses: a Config that can't work is told of before anything is
// served.
func TestServeRefuses(t *testing.T) {
	urls := []string{"http://registry"}
	for _, c := range []struct {
		name, addr string
		config     Config
		want       string
	}{
		{"any IPv6 address", "[::]:9999", Config{Registries: urls}, "Config.Addr"},
		{"any IPv4 address", "0.0.0.0:9999", Config{Registries: urls}, "Config.Addr"},
		{"no registry", "", Config{}, "Config.Registries"},
		{"a bad one of two in an entry", "", Config{Registries: []string{"http://user:passw0rd@one, two"}}, "Config.Registries[1]: want http://host:port/path: the scheme is"},
		{"not a URL", "", Config{Registries: []string{"http://registry", "http://user:passw0rd@regi stry"}}, "Config.Registries[1]: want http://host:port/path"},
		{"a URL without a scheme", "", Config{Registries: []string{"localhost:9999/_geerpc_/registry"}}, `the scheme is "localhost"`},
		{"a URL with another scheme", "", Config{Registries: []string{"tcp://user:passw0rd@registry"}}, `the scheme is "tcp"`},
		{"a URL without a host", "", Config{Registries: []string{"http:///_geerpc_/registry"}}, "no host"},
		{"no host", "", Config{Registries: urls, Addr: "tcp@:9999"}, "Config.Addr"},
		{"any address, given", "", Config{Registries: urls, Addr: "http@0.0.0.0:9999"}, "Config.Addr"},
		{"any IPv4 address in IPv6", "", Config{Registries: urls, Addr: "tls@[::ffff:0.0.0.0]:9999"}, "Config.Addr"},
		{"no protocol", "", Config{Registries: urls, Addr: "10.0.0.1:9999"}, registryapi.WantAddress},
		{"an empty protocol", "", Config{Registries: urls, Addr: "@10.0.0.1:9999"}, registryapi.WantAddress},
		{"nothing but a protocol", "", Config{Registries: urls, Addr: "unix@"}, registryapi.WantAddress},
		{"no port", "", Config{Registries: urls, Addr: "tcp@10.0.0.1"}, registryapi.WantAddress + ": missing port"},
		{"no port, with TLS", "", Config{Registries: urls, Addr: "tls@host"}, registryapi.WantAddress},
		{"no port, with HTTP", "", Config{Registries: urls, Addr: "http@host"}, registryapi.WantAddress},
		{"no port, with HTTPS", "", Config{Registries: urls, Addr: "https@host"}, registryapi.WantAddress},
		{"an empty port", "", Config{Registries: urls, Addr: "tcp@host:"}, registryapi.WantAddress + `: there is no port ""`},
		{"port 0", "", Config{Registries: urls, Addr: "tcp@host:0"}, registryapi.WantAddress},
		{"a port that is too high", "", Config{Registries: urls, Addr: "tcp@host:65536"}, registryapi.WantAddress},
		{"IPv6 without brackets", "", Config{Registries: urls, Addr: "tcp@::1:9999"}, registryapi.WantAddress},
		{"a comma in a service", "", Config{Registries: urls, Services: []string{"A,B"}}, "commas"},
		{"a blank in an address", "", Config{Registries: urls, Addr: "tcp@ :1"}, "blanks"},
		{"too much weight", "", Config{Registries: urls, Weight: maxWeight + 1}, "rpc registry: Config.Weight is 1000001, the most is 1000000"},
		{"a token with the end of its line", "", Config{Registries: urls, Token: "passw0rd\n"}, "Config.Token"},
		{"a service without a name", "", Config{Registries: urls, Services: []string{""}}, "rpc registry: service without a name"},
		{"metadata without a key", "", Config{Registries: urls, Metadata: map[string]string{"": "x"}}, "key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lis := &listener{addr: c.addr, closed: make(chan struct{})}
			w := &wire{handler: New(0)}
			c.config.Client = w.client()
			var logged strings.Builder
			c.config.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			err := Serve(geerpc.NewServer(), lis, c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
			if !strings.Contains(logged.String(), "not serving") || strings.Count(logged.String(), "\n") != 1 {
				t.Errorf("logged is %q", &logged)
			}
			if strings.Contains(fmt.Sprint(err), "passw0rd") {
				t.Errorf("the password is in the error: %v", err)
			}
			select {
			case <-lis.closed:
			default:
				t.Error("the listener is open")
			}
			if n := len(w.sent()); n != 0 {
				t.Errorf("%d requests were made", n)
			}
			// Register has no listener to take an address from.
			if reg := Register(c.config); reg.Err() == nil || len(w.sent()) != 0 {
				t.Errorf("Register: %v, %d requests", reg.Err(), len(w.sent()))
			} else if reg.Close() == nil {
				t.Error("Close says that it has deregistered")
			}
			if !strings.Contains(logged.String(), "nothing is registered") {
				t.Errorf("Register logged %q", &logged)
			}
		})
	}
}

// TestServicesThatCannotBeTold: the server is there for all callers.
func TestServicesThatCannotBeTold(t *testing.T) {
	r := New(time.Minute)
	web := httptest.NewServer(r)
	defer web.Close()
	server := geerpc.NewServer()
	for i := range maxServices + 1 {
		if err := server.RegisterName(fmt.Sprint("S", i), new(Arith)); err != nil {
			t.Fatal(err)
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- Serve(server, lis, Config{Registries: []string{web.URL}}) }() // until Close
	eventually(t, "registered", func() bool { return len(r.Servers()) == 1 })
	if got := r.Servers()[0].Services; got != nil {
		t.Errorf("it offers %d", len(got))
	}
	server.Close()
	<-ended
}

// TestRegisterWithoutAddress, which Serve takes from its listener.
func TestRegisterWithoutAddress(t *testing.T) {
	const want = "rpc registry: Config.Addr is empty, " + registryapi.WantAddress
	if err := Register(Config{Registries: []string{"http://registry"}}).Err(); err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

// TestAddressesThatCanBeDialed are taken, and geerpc.XDial gets as far as to
// dial them.
func TestAddressesThatCanBeDialed(t *testing.T) {
	for addr, network := range map[string]string{
		"tcp@10.0.0.1:9999": "tcp", "tcp4@10.0.0.1:9999": "tcp4", "tcp6@[fe80::1%eth0]:9999": "tcp6", "tcp@name:https": "tcp",
		"tls@[2001:db8::1]:1": "tcp", "http@name:65535": "tcp", "https@name.example:443": "tcp",
		"unix@/tmp/ü": "unix", "unix@@abstract": "unix", "pipe@memory": "pipe",
	} {
		c := Config{Registries: []string{"http://registry"}, Addr: addr}.withDefaults()
		if err := c.check(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		dialed := ""
		geerpc.XDial(addr, &geerpc.Option{Dialer: func(_ context.Context, network, at string) (net.Conn, error) {
			dialed = network
			return nil, errors.New("no network")
		}})
		if dialed != network {
			t.Errorf("%s: XDial dials on %q, want %q", addr, dialed, network)
		}
	}
}

// TestHeartbeatOnAnyAddress: GeeRPC's programs listen on all addresses, and
// register that of the listener. With all on one machine that works.
func TestHeartbeatOnAnyAddress(t *testing.T) {
	r := New(time.Minute)
	web := httptest.NewServer(r)
	defer web.Close()
	for _, addr := range []string{"tcp@[::]:9999", "tcp@:9999"} {
		reg := Heartbeat(web.URL, addr, 0)
		if got := list(r); got != addr {
			t.Errorf("the list is %q, want %q", got, addr)
		}
		if err := reg.Err(); err == nil || !strings.Contains(err.Error(), addr) {
			t.Errorf("the error is %v", err)
		}
		if err := reg.Close(); err != nil || list(r) != "" {
			t.Errorf("Close: %v, list %q", err, list(r))
		}
	}
}
