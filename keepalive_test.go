package geerpc

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
	"geerpc/internal/handshake"
	"geerpc/internal/link"
)

// A slowLink carries bytes at so many a second, each way, and holds some that
// are on their way, as a modem and the kernels at its ends do.
type slowLink struct {
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	perSecond int
}

// DialContext is an Option's Dialer.
func (l slowLink) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	far, err := l.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	near, middle := net.Pipe()
	go l.carry(middle, far) // both end with either connection
	go l.carry(far, middle)
	return near, nil
}

func (l slowLink) carry(from, to net.Conn) {
	const held = 64 // writes of at most a tenth of a second
	pieces := make(chan []byte, held)
	go func() {
		defer close(pieces)
		for {
			piece := make([]byte, max(l.perSecond/10, 1))
			n, err := from.Read(piece)
			if err != nil {
				return
			}
			pieces <- piece[:n]
		}
	}()
	for piece := range pieces {
		time.Sleep(time.Duration(len(piece)) * time.Second / time.Duration(l.perSecond))
		if _, err := to.Write(piece); err != nil {
			break
		}
	}
	from.Close()
	to.Close()
	for range pieces {
	}
}

// onSlowLink runs f in virtual time with a client behind a slow link, on gob
// and on JSON.
func onSlowLink(t *testing.T, perSecond int, f func(t *testing.T, e *env, client *Client)) {
	for _, c := range []codec.Type{codec.GobType, codec.JsonType} {
		t.Run(string(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, "pipe", c)
				blobs(e)
				RegisterFunc(e.Server, "Test.Sleep", func(_ context.Context, seconds int) (int, error) {
					time.Sleep(time.Duration(seconds) * time.Second)
					return seconds, nil
				})
				RegisterFunc(e.Server, "Test.Size", func(_ context.Context, blob []byte) (int, error) { return len(blob), nil })
				e.start()
				client := e.dial(&Option{Dialer: slowLink{e.option.Dialer, perSecond}.DialContext})
				f(t, e, client)
				client.Close()
				e.Close()
				time.Sleep(time.Minute) // until the link has noticed
			})
		})
	}
}

// A client that only receives makes itself heard all the same: hours of
// replies, and downloads that take longer than the server's ReadTimeout.
func TestD119_ReceivingOnly(t *testing.T) {
	t.Run("replies", func(t *testing.T) {
		onSlowLink(t, 1<<20, func(t *testing.T, e *env, client *Client) {
			done := make(chan *Call, 400)
			for i := range cap(done) {
				client.Go("Test.Sleep", 20*(i+1), new(int), done) // the last after more than two hours
			}
			for range cap(done) {
				if call := <-done; call.Error != nil || *call.Reply.(*int) != call.Args {
					t.Errorf("a reply after %v s: %v", call.Args, call.Error)
				}
			}
		})
	})
	t.Run("downloads", func(t *testing.T) {
		onSlowLink(t, 5<<10, func(t *testing.T, e *env, client *Client) {
			for range 2 { // of ten minutes or more each
				var blob []byte
				if err := client.Call(context.Background(), "Test.Blob", 2<<20, &blob); err != nil || len(blob) != 2<<20 {
					t.Errorf("%d bytes, %v", len(blob), err)
				}
			}
		})
	})
}

// A client that only sends, over a link so slow that its pings wait behind
// what it sends, does not take the server for gone, nor the server it.
func TestD119_SendingOnly(t *testing.T) {
	onSlowLink(t, 5<<10, func(t *testing.T, e *env, client *Client) {
		blob := bytes.Repeat([]byte{'x'}, 2<<20)
		for range 2 { // of ten minutes or more each
			var n int
			if err := client.Call(context.Background(), "Test.Size", blob, &n); err != nil || n != len(blob) {
				t.Errorf("%d bytes, %v", n, err)
			}
		}
	})
}

// A server that can't ping must not be taken for gone either, while it takes
// what the client sends.
func TestD119_SendingToServerWithoutPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, p := handServer(t, &Option{CodecType: framedJSON})
		call := client.Go("T.M", string(bytes.Repeat([]byte{'x'}, 1<<20)), nil, nil)
		buf := make([]byte, 4<<10)
		for range 200 { // 800 KiB in 200 s
			time.Sleep(time.Second)
			if _, err := p.conn.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
		if !client.IsAvailable() {
			t.Error("closed")
		}
		start := time.Now() // and now nothing more
		<-call.Done
		if took := time.Since(start); took < 5*time.Second || took > 15*time.Second {
			t.Errorf("a stuck server was noticed after %v: %v", took, call.Error)
		}
	})
}

// A server that does not ping is not taken for gone either while what the
// client has sent is still in the kernel: little is held back there.
func TestD119_SendingThroughTheKernel(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	const size, perSecond = 3 << 19, 900 << 10
	const interval, timeout = time.Second / 3, time.Second // less than it takes to send
	took := make(chan int, 1)
	go func() {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		n, _ := conn.Read(make([]byte, legacyBytes))
		io.WriteString(conn, `{"OK":true,"Extended":true,"Kinds":["call","cancel","ping"]}`+"\n")
		buf := make([]byte, perSecond/100)
		for tick := time.NewTicker(10 * time.Millisecond); n < size; <-tick.C {
			k, err := io.ReadFull(conn, buf)
			if n += k; err != nil {
				break
			}
		}
		took <- n
	}()
	client, err := Dial("tcp", lis.Addr().String(), &Option{ConnectTimeout: patient, PingInterval: interval, PingTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	call := client.Go("A.B", make([]byte, size), nil, nil)
	if n := <-took; n < size {
		t.Errorf("the server got %d of %d bytes", n, size)
	}
	client.Close()
	<-call.Done
}

// A client keeps its promise to the moment, whatever else it does.
func TestD116_PromiseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, p := handServer(t, nil)
		go func() {
			for range 20 {
				time.Sleep(7 * time.Second)
				p.send(handFrame{kind: codec.Reply, seq: 1, body: "{}"}) // it hears something all the time
			}
			client.Close()
		}()
		for last := time.Now(); ; last = time.Now() {
			if _, err := p.read(); err != nil {
				break
			}
			if silence := time.Since(last); silence > DefaultPingInterval {
				t.Errorf("nothing was heard for %v", silence)
			}
		}
	})
}

// A peer that asks for a flood of pings, perhaps because it takes nanoseconds
// for seconds, gets a few.
func TestD116_NoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			far.Read(make([]byte, handshake.MaxBytes))
			io.WriteString(far, `{"OK":true,"Extended":true,"Kinds":["ping"],"PingInterval":30}`+"\n")
		}()
		client, err := NewClient(near, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := client.opt.PingInterval; got != minPingInterval {
			t.Errorf("the client pings every %v", got)
		}
		client.Close()
	})
}

// What a client and a server want of each other's pings fits together, whatever
// it is: a call of an hour is not cut.
func TestD116_Intervals(t *testing.T) {
	for name, test := range map[string]struct {
		interval, readTimeout time.Duration
		want                  time.Duration // 0: nothing is agreed
	}{
		"defaults":                     {0, 0, 30 * time.Second},
		"client never pings":           {-1, 0, 0},
		"client pings rarely":          {time.Hour, 0, 30 * time.Second},
		"client pings often":           {time.Second, 0, time.Second},
		"server is impatient":          {0, 6 * time.Second, 2 * time.Second},
		"server is patient":            {time.Minute, time.Hour, time.Minute},
		"server waits for ever":        {time.Hour, -1, time.Hour},
		"neither":                      {-1, -1, 0},
		"impatient, and no pings":      {-1, time.Second, 0},
		"a moment is enough":           {0, 3 * time.Millisecond, minPingInterval},
		"longer than a Duration holds": {1<<63 - 1, -1, link.MaxInterval},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEnv(t, "pipe", codec.GobType)
				e.ReadTimeout = test.readTimeout
				e.start()
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				var writes atomic.Int64
				client := e.dial(&Option{PingInterval: test.interval, Dialer: countWrites(e.option.Dialer, &writes)})
				if err := client.Call(ctx, "Arith.Block", Args{}, nil); CodeOf(err) != CodeDeadlineExceeded {
					t.Errorf("a call of an hour: %v", err)
				}
				if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
					t.Errorf("after it: %v", err)
				}
				most := int64(10) // hello, calls
				if test.want > 0 {
					most += int64(2 * time.Hour / test.want)
				}
				if writes.Load() > most {
					t.Errorf("%d writes in that hour, want %d at most", writes.Load(), most)
				}
				for _, c := range e.conns.Status().Conns {
					if c.pingInterval != test.want {
						t.Errorf("agreed on %v, want %v", c.pingInterval, test.want)
					}
				}
				client.Close()
				e.Close()
			})
		})
	}
}

// An idle connection carries a ping and a pong for each interval, and little
// more.
func TestKeepalive_Traffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", codec.GobType)
		e.start()
		var writes atomic.Int64
		client := e.dial(&Option{Dialer: countWrites(e.option.Dialer, &writes)})
		time.Sleep(time.Hour)
		if n := writes.Load(); n < 120 || n > 250 {
			t.Errorf("%d writes of the client in an idle hour", n)
		}
		client.Close()
		e.Close()
	})
}

// countWrites returns a Dialer whose connections count what is written to them.
func countWrites(dial func(context.Context, string, string) (net.Conn, error), writes *atomic.Int64) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return countedConn{conn, writes}, err
	}
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// While a reader is busy, with a decoder that takes its time, what the peer
// says waits in the socket: that is no silence.
func TestD129_SlowDecoder(t *testing.T) {
	onSlowLink(t, 1<<20, func(t *testing.T, e *env, client *Client) {
		RegisterFunc(e.Server, "Test.Slow", func(_ context.Context, s slowToDecode) (slowToDecode, error) { return s, nil })
		var reply slowToDecode
		start := time.Now()
		if err := client.Call(context.Background(), "Test.Slow", slowToDecode{10 * time.Minute}, &reply); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 20*time.Minute {
			t.Errorf("both ends have decoded in %v", took)
		}
		if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
			t.Error(err)
		}
	})
}

// slowToDecode takes its time to be decoded.
type slowToDecode struct{ D time.Duration }

func (s slowToDecode) GobEncode() ([]byte, error) { return s.MarshalText() }

func (s *slowToDecode) GobDecode(data []byte) error { return s.UnmarshalText(data) }

func (s slowToDecode) MarshalText() ([]byte, error) { return []byte(s.D.String()), nil }

func (s *slowToDecode) UnmarshalText(data []byte) (err error) {
	s.D, err = time.ParseDuration(string(data))
	time.Sleep(s.D)
	return err
}
