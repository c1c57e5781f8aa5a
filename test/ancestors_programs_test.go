package test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc"
	"geerpc/codec"
)

// Programs as they are written for GeeRPC, by day of its tutorial, against the
// names that it fixed. That they compile is half of the test.

// A Pair is what a Tally adds up.
type Pair struct{ X, Y int }

// A Tally is a service in GeeRPC's manner: a named number, and a method on the
// value.
type Tally int

// Sum adds.
func (t Tally) Sum(args Pair, reply *int) error {
	*reply = args.X + args.Y
	return nil
}

// Wait outlasts any time limit of these tests.
func (t Tally) Wait(ms int, _ *int) error {
	<-time.After(time.Duration(ms) * time.Millisecond) // a program over real sockets
	return nil
}

// registerTally puts a Tally into the DefaultServer, once.
var registerTally = sync.OnceValue(func() error {
	var tally Tally
	return geerpc.Register(&tally)
})

// acceptDefault has the DefaultServer accept, until the test has ended.
func acceptDefault(t *testing.T, network, address string) string {
	t.Helper()
	if err := registerTally(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		geerpc.Accept(l)
	}()
	t.Cleanup(func() { _ = l.Close(); <-accepted })
	return l.Addr().String()
}

// fiveSums makes five calls side by side, as each day's program does.
func fiveSums(t *testing.T, client *geerpc.Client) {
	t.Helper()
	var wg sync.WaitGroup
	for i := 0; i < 5; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			args := &Pair{X: i, Y: i * i}
			var reply int
			if err := client.Call(context.Background(), "Tally.Sum", args, &reply); err != nil || reply != i+i*i {
				t.Errorf("%d + %d = %d, %v", args.X, args.Y, reply, err)
			}
		}(i)
	}
	wg.Wait()
}

// TestCompat_CodecByHand is day 1: no client yet, but an Option encoded
// straight onto the connection and a codec driven by hand, with seq 0 first.
func TestCompat_CodecByHand(t *testing.T) {
	conn, err := net.Dial("tcp", acceptDefault(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = json.NewEncoder(conn).Encode(geerpc.DefaultOption)
	var cc codec.Codec = codec.NewGobCodec(conn)
	for i := 0; i < 5; i++ {
		h := &codec.Header{ServiceMethod: "Tally.Sum", Seq: uint64(i)}
		if err := cc.Write(h, Pair{i, 1}); err != nil {
			t.Fatal(err)
		}
		if err := cc.ReadHeader(h); err != nil || h.Error != "" || h.Seq != uint64(i) {
			t.Fatalf("header %+v, %v", h, err)
		}
		var reply int
		if err := cc.ReadBody(&reply); err != nil || reply != i+1 {
			t.Fatalf("body %d, %v", reply, err)
		}
	}
	// Day 1 sends texts to a service that is not there, and reads whatever comes.
	h := &codec.Header{ServiceMethod: "Foo.Sum", Seq: 5}
	_ = cc.Write(h, "request 5")
	_ = cc.ReadHeader(h)
	var text string
	_ = cc.ReadBody(&text)
	if h.Seq != 5 || !strings.Contains(h.Error, "can't find service") {
		t.Errorf("header %+v", h)
	}
}

// TestCompat_Client is days 2 to 4: Dial, Go and Call.
func TestCompat_Client(t *testing.T) {
	client, err := geerpc.Dial("tcp", acceptDefault(t, "tcp", "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	if !client.IsAvailable() {
		t.Error("not available")
	}
	fiveSums(t, client)
	var reply int
	call := <-client.Go("Tally.Sum", Pair{2, 3}, &reply, make(chan *geerpc.Call, 1)).Done
	if call.Error != nil || reply != 5 || call.ServiceMethod != "Tally.Sum" || call.Seq == 0 || call.Reply != &reply {
		t.Errorf("call %+v", call)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := client.Close(); err != geerpc.ErrShutdown {
		t.Errorf("second Close: %v", err)
	}
	if err := client.Call(context.Background(), "Tally.Sum", Pair{}, &reply); !errors.Is(err, geerpc.ErrShutdown) {
		t.Errorf("Call after Close: %v", err)
	}
	if client.IsAvailable() {
		t.Error("available after Close")
	}
}

// TestCompat_Timeouts is day 4: the texts that programs look for.
func TestCompat_Timeouts(t *testing.T) {
	addr := acceptDefault(t, "tcp", "127.0.0.1:0")
	t.Run("client", func(t *testing.T) {
		client, _ := geerpc.Dial("tcp", addr)
		defer func() { _ = client.Close() }()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		var reply int
		err := client.Call(ctx, "Tally.Wait", 200, &reply)
		if err == nil || !strings.Contains(err.Error(), ctx.Err().Error()) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("server", func(t *testing.T) {
		client, _ := geerpc.Dial("tcp", addr, &geerpc.Option{HandleTimeout: 20 * time.Millisecond})
		defer func() { _ = client.Close() }()
		var reply int
		err := client.Call(context.Background(), "Tally.Wait", 200, &reply)
		if err == nil || !strings.Contains(err.Error(), "handle timeout") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("connect", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		_, err = geerpc.Dial("tcp", l.Addr().String(), &geerpc.Option{ConnectTimeout: 20 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "connect timeout") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("no limit", func(t *testing.T) {
		client, err := geerpc.Dial("tcp", addr, &geerpc.Option{ConnectTimeout: 0})
		if err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
	})
}

// TestCompat_HTTP is day 5: HandleHTTP on the default mux, DialHTTP and XDial.
func TestCompat_HTTP(t *testing.T) {
	if err := registerTally(); err != nil {
		t.Fatal(err)
	}
	old := http.DefaultServeMux
	http.DefaultServeMux = http.NewServeMux()
	defer func() { http.DefaultServeMux = old }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	geerpc.HandleHTTP()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = http.Serve(l, nil)
	}()
	defer func() { _ = l.Close(); <-served }()
	client, err := geerpc.DialHTTP("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	fiveSums(t, client)
	again, err := geerpc.XDial("http@" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	fiveSums(t, again)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	third, err := geerpc.NewHTTPClient(conn, geerpc.DefaultOption)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	fiveSums(t, third)
}

// TestCompat_XDial is day 5 and later: an address names its protocol.
func TestCompat_XDial(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "tally.sock")} {
		t.Run(network, func(t *testing.T) {
			client, err := geerpc.XDial(network + "@" + acceptDefault(t, network, address))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			fiveSums(t, client)
		})
	}
	if _, err := geerpc.XDial("127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "wrong format") {
		t.Errorf("an address without a protocol: %v", err)
	}
	if _, err := geerpc.Dial("tcp", "127.0.0.1:1", nil, nil); err == nil || !strings.Contains(err.Error(), "number of options") {
		t.Errorf("two options: %v", err)
	}
}

// TestCompat_ServerOfOnesOwn has a server beside the default one, which refuses
// to register a type twice, and serves one connection through ServeConn.
func TestCompat_ServerOfOnesOwn(t *testing.T) {
	var tally Tally
	server := geerpc.NewServer()
	if err := server.Register(&tally); err != nil {
		t.Fatal(err)
	}
	if err := server.Register(&tally); err == nil || !strings.Contains(err.Error(), "service already defined") {
		t.Errorf("registered twice: %v", err)
	}
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.ServeConn(far)
	}()
	client, err := geerpc.NewClient(near, &geerpc.Option{CodecType: codec.JsonType})
	if err != nil {
		t.Fatal(err)
	}
	fiveSums(t, client)
	_ = client.Close()
	<-served
	var zero geerpc.Server
	if err := zero.Register(tally); err != nil {
		t.Errorf("zero Server: %v", err)
	}
}
