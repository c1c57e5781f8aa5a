package geerpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
)

// slowDownload starts a proxy to addr that takes what the server sends at some
// bytes a second, through a small receive buffer, and passes the other
// direction on at once. It returns its address.
func slowDownload(t *testing.T, addr string, perSecond int) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carriers sync.WaitGroup
	t.Cleanup(func() { lis.Close(); carriers.Wait() })
	carriers.Go(func() {
		for {
			client, err := lis.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", addr)
			if err != nil {
				client.Close()
				continue
			}
			server.(*net.TCPConn).SetReadBuffer(64 << 10)
			carriers.Go(func() { pass(client, server, 0) })
			carriers.Go(func() { pass(server, client, perSecond) })
		}
	})
	return lis.Addr().String()
}

// pass copies from one connection to another, half-closes that one at the end,
// and closes both after an error.
func pass(from, to net.Conn, perSecond int) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if perSecond > 0 {
			<-time.After(time.Duration(n) * time.Second / time.Duration(perSecond)) // a link that is slow, between real sockets
		}
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil && err != io.EOF {
			from.Close()
			to.Close()
			return
		}
		if err == io.EOF {
			to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// hiddenListener's connections can't be closed for writing alone, as those of
// most wrappers.
type hiddenListener struct{ net.Listener }

func (l hiddenListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return struct{ net.Conn }{conn}, err
}

// Shutdown on a slow link: the last answers are in the kernel, and on their
// way for seconds. A cancel that comes meanwhile must not be answered by a
// reset, which would take them with it.
func TestD120_ShutdownOnASlowLink(t *testing.T) {
	const calls, cancelled, size = 1000, 50, 6 << 10 // six seconds in all
	for _, transport := range []string{"tcp", "tls", "wrapped", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, map[string]string{"tls": "tls", "http": "http"}[transport], codec.GobType)
			release := make(chan struct{})
			RegisterFunc(e.Server, "Test.Late", func(_ context.Context, n int) ([]byte, error) {
				<-release
				return make([]byte, n), nil
			})
			if transport == "wrapped" {
				lis, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				e.lis = lis
				served := make(chan error, 1)
				go func() { served <- e.Serve(hiddenListener{lis}) }()
				t.Cleanup(func() { e.Close(); <-served })
			}
			e.start()
			proxy := slowDownload(t, e.lis.Addr().String(), 1<<20)
			client := e.dial(&Option{PingInterval: 300 * time.Millisecond, Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, proxy)
			}})
			done := make(chan *Call, calls)
			for range calls {
				client.Go("Test.Late", size, new([]byte), done)
			}
			ctx, leave := context.WithCancel(context.Background())
			var leaving sync.WaitGroup
			for range cancelled {
				leaving.Go(func() { client.Call(ctx, "Test.Late", size, new([]byte)) })
			}
			late := e.registry.method("Test.Late")
			eventually(t, "all run", func() bool { return late.begun.Load() == calls+cancelled })
			shut := make(chan error, 1)
			go func() { shut <- e.Shutdown(context.Background()) }()
			c := e.onlyConn()
			eventually(t, "the client has said goodbye", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.state.noNewCalls
			})
			close(release)
			eventually(t, "all have run", func() bool { return late.endedCalls() == calls+cancelled })
			<-time.After(5 * time.Second) // the last answers are on their way
			leave()
			leaving.Wait()
			lost := 0
			for range calls {
				if call := <-done; call.Error != nil || len(*call.Reply.(*[]byte)) != size {
					if lost++; lost == 1 {
						t.Errorf("lost: %v", call.Error)
					}
				}
			}
			if err := <-shut; err != nil || lost > 0 {
				t.Errorf("Shutdown: %v; %d of %d accepted calls are lost", err, lost, calls)
			}
		})
	}
}

// A plain client behind CONNECT whose first call comes in one segment with the
// request has its reply after Shutdown all the same.
func TestD115_ShutdownBehindCONNECT(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	e := newEnv(t, "http", codec.GobType)
	running := blobs(e)
	e.start()
	conn, err := net.Dial("tcp", e.lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	var segment bytes.Buffer
	fmt.Fprintf(&segment, "CONNECT /_geeprc_ HTTP/1.0\r\n\r\n%s", optionLine(t))
	enc := gob.NewEncoder(&segment)
	type header struct {
		ServiceMethod string
		Seq           uint64
		Error         string
	}
	if enc.Encode(header{ServiceMethod: "Test.Blob", Seq: 1}) != nil || enc.Encode(size) != nil {
		t.Fatal("not encoded")
	}
	conn.Write(segment.Bytes())
	in := bufio.NewReader(conn)
	if _, err := http.ReadResponse(in, &http.Request{Method: "CONNECT"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has run", func() bool {
		return running.Load() == 0 && e.registry.method("Test.Blob").endedCalls() == 1
	})
	shut := make(chan error, 1)
	go func() { shut <- e.Shutdown(context.Background()) }()
	<-time.After(100 * time.Millisecond) // Shutdown has begun, and the reply is on its way
	conn.Write([]byte{1})                // what would be a next call
	dec := gob.NewDecoder(in)
	var h header
	var blob []byte
	if err := dec.Decode(&h); err != nil {
		t.Fatal(err)
	}
	if err := dec.Decode(&blob); err != nil || len(blob) != size {
		t.Errorf("%d bytes of the reply, %v", len(blob), err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}
