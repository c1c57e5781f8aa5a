package test

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"geerpc"
)

// TestD44_Soak has clients call, cancel, time out, panic their methods and tear
// their connections for a while, and then counts what is left of it.
func TestD44_Soak(t *testing.T) {
	e := newEnv(t, "tcp", "")
	e.HandleTimeout = 20 * time.Millisecond
	e.start()
	soak := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for ctx.Err() == nil {
					mistreat(t, e)
				}
			})
		}
		wg.Wait()
	}
	soak(300 * time.Millisecond) // pools and caches fill
	before := resources()
	soak(time.Second)
	eventually(t, "goroutines and file descriptors are back", func() bool {
		after := resources()
		return after.goroutines <= before.goroutines+300 && after.files <= before.files+5
	})
	if after := resources(); after.heap > before.heap+4<<20 {
		t.Errorf("heap went from %d to %d bytes", before.heap, after.heap)
	}
}

// mistreat makes some calls over a connection of its own, none of which is
// sure to end well, and leaves without manners half of the time.
func mistreat(t *testing.T, e *env) {
	var conn net.Conn
	client, err := geerpc.Dial("tcp", e.lis.Addr().String(), &geerpc.Option{
		ConnectTimeout: 10 * time.Second,
		Dialer: func(ctx context.Context, network, address string) (c net.Conn, err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return conn, err
		}})
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	var wg sync.WaitGroup
	for i := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(3000))*time.Microsecond)
		method := []string{"Arith.Add", "Arith.Block", "Arith.Panic", "Arith.Nothing"}[rand.IntN(4)]
		wg.Go(func() {
			defer cancel()
			client.Call(ctx, method, Args{i % 4, 1}, new(Reply))
		})
	}
	if rand.IntN(2) == 0 {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	wg.Wait()
}

type resourceUse struct {
	goroutines, files int
	heap              uint64
}

func resources() (r resourceUse) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd") // empty on other systems
	return resourceUse{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}
