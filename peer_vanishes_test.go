package geerpc

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// waits registers Test.Wait, which tells when it begins and how its context
// ends.
func waits(e *env) (running chan struct{}, ended chan error) {
	running, ended = make(chan struct{}, 100), make(chan error, 100)
	RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
		running <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return Reply{}, ctx.Err()
	})
	return running, ended
}

// D30: a client that is gone ends the contexts of its calls: by a reset on any
// layout, and by a mere end of the stream where the client would have said
// goodbye had it wanted the answers.
func TestD30_ClientVanishes(t *testing.T) {
	tests := map[string]struct {
		transport string
		plain     bool
		vanish    func(net.Conn)
	}{
		"FIN":            {"tcp", false, func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }},
		"close":          {"tcp", false, func(c net.Conn) { c.Close() }},
		"unix FIN":       {"unix", false, func(c net.Conn) { c.(*net.UnixConn).CloseWrite() }},
		"pipe":           {"pipe", false, func(c net.Conn) { c.Close() }},
		"RST":            {"tcp", false, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
		"RST when plain": {"tcp", true, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, test.transport, framedJSON)
			running, ended := waits(e)
			wait := handFrame{kind: codec.Call, seq: 1, method: "Test.Wait", body: "{}"}
			var conn net.Conn
			if test.plain {
				conn = e.bare()
				io.WriteString(conn, `{"MagicNumber":3927900,"CodecType":"test/framed-json"}`)
				conn.Write(wait.bytes())
			} else {
				p := e.byHand(allKinds...)
				p.send(wait)
				conn = p.conn
			}
			<-running
			test.vanish(conn)
			select {
			case err := <-ended:
				if err != context.Canceled {
					t.Errorf("the method's context: %v", err)
				}
			case <-time.After(10 * time.Second): // instead of hanging
				t.Error("the method's context never ended")
			}
		})
	}
}

// D30: a client that promised to ping and has gone silent is gone; one that
// never promised may be silent for as long as it likes.
func TestD30_Silence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		running, ended := waits(e)
		p := e.byHand(allKinds...)
		quiet := e.byHand("call", "reply")
		wait := handFrame{kind: codec.Call, seq: 1, method: "Test.Wait", body: "{}"}
		quiet.send(wait)
		<-running
		time.Sleep(time.Hour)
		q := e.byHand(allKinds...)
		q.send(wait)
		<-running
		go io.Copy(io.Discard, q.in) // it takes the server's pings, and says nothing
		start := time.Now()
		if err := <-ended; err != context.Canceled || time.Since(start) != DefaultReadTimeout {
			t.Errorf("the silent client's call: %v after %v", err, time.Since(start))
		}
		for f, err := p.read(); err != io.EOF; f, err = p.read() {
			if err != nil || f.kind != codec.Ping {
				t.Fatalf("the client that was silent for an hour: %+v, %v", f, err)
			}
		}
		select {
		case err := <-ended:
			t.Errorf("the call of the client that promised nothing: %v", err)
		default:
		}
		for _, p := range []*handPeer{p, q, quiet} {
			p.conn.Close()
		}
		e.Close()
	})
}

// Pings keep a connection alive from either side, and each is answered.
func TestKeepalive_Pings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", codec.GobType)
		client := e.dial(nil)
		time.Sleep(24 * time.Hour) // nothing but pings and pongs
		if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
			t.Errorf("after a day without a call: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
		defer cancel()
		if err := client.Call(ctx, "Arith.Block", Args{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call of a day: %v", err)
		}
		client.Close()
		e.Close()
	})
}

// Our client pings when nothing has arrived for the interval, calls pending or
// not, and answers the pings of a server.
func TestKeepalive_WhenTheClientPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, p := handServer(t, &Option{CodecType: framedJSON, PingInterval: time.Minute})
		start := time.Now()
		for i := range 3 {
			if f := p.next(); f.kind != codec.Ping || time.Since(start) != time.Duration(i+1)*time.Minute {
				t.Fatalf("after %v: %+v", time.Since(start), f)
			}
			p.send(handFrame{kind: codec.Pong})
		}
		p.send(handFrame{kind: codec.Ping})
		if f := p.next(); f.kind != codec.Pong {
			t.Fatalf("a ping is answered with %+v", f)
		}
		call := client.Go("T.M", Args{}, nil, nil)
		p.next()
		start = time.Now()
		if f := p.next(); f.kind != codec.Ping || time.Since(start) != time.Minute {
			t.Fatalf("with a call pending, after %v: %+v", time.Since(start), f)
		}
		p.send(handFrame{kind: codec.Reply, seq: call.Seq, body: "{}"})
		if <-call.Done; call.Error != nil {
			t.Error(call.Error)
		}
		time.Sleep(time.Second)
		if !client.IsAvailable() {
			t.Error("a reply was no sign of life")
		}
		p.conn.Close()
		client.Close()
	})
}

// D31: half-open. The peer takes everything and says nothing, or not even
// that: keepalive closes the connection, and what is pending fails as what it
// is, lost on the link with an outcome unknown.
func TestD31_HalfOpenPeer(t *testing.T) {
	tests := map[string]struct {
		opt   Option
		reads bool
		after time.Duration // 0: never
	}{
		"default":             {Option{}, true, DefaultPingInterval + DefaultPingTimeout},
		"configured":          {Option{PingInterval: 3 * time.Second, PingTimeout: time.Second}, true, 4 * time.Second},
		"doesn't read either": {Option{FlushTimeout: -1}, false, DefaultPingInterval + DefaultPingTimeout},
		"flush timeout":       {Option{FlushTimeout: 5 * time.Second}, false, 5 * time.Second},
		"no pings":            {Option{PingInterval: -1}, true, 0},
		"no ping timeout":     {Option{PingTimeout: -1}, true, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.opt.CodecType = framedJSON
				client, p := handServer(t, &test.opt)
				if test.reads {
					go io.Copy(io.Discard, p.in) // ends with the connection
				}
				start := time.Now()
				calls := []*Call{client.Go("T.A", Args{}, nil, nil), client.Go("T.B", Args{}, nil, nil)}
				if test.after == 0 {
					time.Sleep(24 * time.Hour)
					if !client.IsAvailable() {
						t.Error("closed")
					}
					client.Close()
				}
				for _, call := range calls {
					<-call.Done
					wantError(t, call.Error, CodeUnavailable, OnLink, RanMaybe)
				}
				if took := time.Since(start); test.after > 0 && took != test.after {
					t.Errorf("closed after %v, want %v", took, test.after)
				}
				client.Close()
				p.conn.Close()
			})
		})
	}
}

// D32: on a plain connection the end of the client's stream only says that no
// more calls follow: those pending are answered.
func TestD32_HalfClose(t *testing.T) {
	for _, transport := range []string{"tcp", "unix"} {
		for _, c := range []codec.Type{codec.GobType, codec.JsonType} {
			t.Run(transport+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, transport, c)
				release := make(chan struct{})
				alive := make(chan error, 100)
				RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, args Args) (Reply, error) {
					<-release
					alive <- ctx.Err()
					return Reply{args.A}, nil
				})
				conn := e.bare()
				hello, _ := json.Marshal(map[string]any{"MagicNumber": MagicNumber, "CodecType": c})
				conn.Write(hello)
				type header struct {
					ServiceMethod string
					Seq           uint64
					Error         string
				}
				encode, decode := gob.NewEncoder(conn).Encode, gob.NewDecoder(conn).Decode
				if c == codec.JsonType {
					encode, decode = json.NewEncoder(conn).Encode, json.NewDecoder(conn).Decode
				}
				const calls = 100
				for i := range calls {
					if err := errors.Join(encode(header{ServiceMethod: "Test.Wait", Seq: uint64(i)}), encode(Args{A: i})); err != nil {
						t.Fatal(err)
					}
				}
				conn.(interface{ CloseWrite() error }).CloseWrite()
				close(release)
				seen := map[uint64]bool{}
				for range calls {
					var h header
					var r Reply
					if err := errors.Join(decode(&h), decode(&r)); err != nil || h.Error != "" || r.C != int(h.Seq) {
						t.Fatalf("%+v, %+v, %v", h, r, err)
					}
					seen[h.Seq] = true
					if err := <-alive; err != nil {
						t.Fatalf("a method's context: %v", err)
					}
				}
				if err := decode(&header{}); err != io.EOF || len(seen) != calls {
					t.Errorf("then: %v, after %d replies", err, len(seen))
				}
			})
		}
	}
}

// D40: one name, two addresses, the first dead: the dialer that net has tries
// both, and one of a user's own may as well.
func TestD40_DeadAndLiveAddress(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.start()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close() // nobody is at its address any more
	live := e.lis.Addr().String()
	var tried []string
	client, err := Dial("tcp", "name:1234", &Option{
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			var errs []error
			for _, a := range []string{dead.Addr().String(), live} {
				tried = append(tried, address+" "+a)
				conn, err := new(net.Dialer).DialContext(ctx, network, a)
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil || len(tried) != 2 || !strings.HasPrefix(tried[0], "name:1234 ") {
		t.Errorf("%v, tried %q", err, tried)
	}
	// localhost is both ::1 and 127.0.0.1 on many machines, and ours is on the latter alone.
	_, port, _ := net.SplitHostPort(live)
	byName, err := Dial("tcp", net.JoinHostPort("localhost", port))
	if err != nil {
		t.Fatal(err)
	}
	byName.Close()
	_, err = Dial("tcp", dead.Addr().String())
	wantError(t, err, CodeUnavailable, OnLink, RanNever)
}

// anonymousConn is a connection whose RemoteAddr ends its goroutine, from some
// time on.
type anonymousConn struct {
	net.Conn
	anonymous atomic.Bool
}

func (c *anonymousConn) RemoteAddr() net.Addr {
	if c.anonymous.Load() {
		runtime.Goexit()
	}
	return c.Conn.RemoteAddr()
}

// TestD121_AddressThatEndsTheGoroutine loses a connection that does not say any
// more whose it is. The calls in flight end all the same.
func TestD121_AddressThatEndsTheGoroutine(t *testing.T) {
	e := newEnv(t, "tcp", "")
	e.start()
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours := &anonymousConn{Conn: conn}
	client, err := NewClient(ours, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	mustAdd(t, client)
	ours.anonymous.Store(true)
	call := client.Go("Arith.Block", Args{}, nil, nil)
	conn.Close()
	select {
	case <-call.Done:
		wantError(t, call.Error, CodeUnavailable, OnLink, RanMaybe)
	case <-time.After(patient): // instead of hanging
		t.Error("the call has no end")
	}
}
