package xclient

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestConnection_ClientGoesWhileWaited: a call has seen that there is a client,
// and another one that it takes no more calls. The first must get that client
// or an error.
func TestConnection_ClientGoesWhileWaited(t *testing.T) {
	x := new(common)
	x.ctx, x.cancel = context.WithCancelCause(context.Background())
	defer x.close()
	c := &connection{common: x, err: errUnlisted}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20000 {
				if client, err := c.wait(context.Background(), false, nil); client == nil && err == nil {
					t.Error("neither client nor error")
					return
				}
			}
		})
	}
	for i := range 20000 {
		c.mu.Lock()
		c.client.Store([]*geerpc.Client{nil, new(geerpc.Client)}[i%2])
		c.mu.Unlock()
	}
	wg.Wait()
}

// TestConnection_TooSlowByAHair: a dial takes just as long as calls wait for it
// when another server is connected. The server must not count as down when it is connected, or no call
// would ever go there.
func TestConnection_TooSlowByAHair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := NewMultiServerDiscovery([]string{w.start("slow"), w.start("b")})
		dialer := func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "slow" {
				time.Sleep(reconsiderAfter)
			}
			return w.DialContext(ctx, network, address)
		}
		for range 20 {
			xc := New(d, Config{Option: &geerpc.Option{Dialer: dialer}, Balancer: RoundRobin()})
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() { name(t, xc) })
			}
			wg.Wait()
			time.Sleep(reconsiderAfter)
			synctest.Wait()
			if s, _ := xc.set.server("pipe@slow"); !s.health.fit() {
				t.Error("it is connected, and down")
			}
			xc.Close()
		}
	})
}

// TestConnection_OneIsLostWhenAnotherComes: what is noted of the server must be
// true in the end.

// TestConnection_OneIsLostWhenAnotherComes: what is noted of the server must be
// true in the end.
func TestConnection_OneIsLostWhenAnotherComes(t *testing.T) {
	s := &Server{conns: []*connection{new(connection), new(connection)}}
	set := func(c *connection, client *geerpc.Client) {
		c.client.Store(client)
		s.updateDown()
	}
	for i := range 5000 {
		coming, going := s.conns[i%2], s.conns[1-i%2]
		set(going, new(geerpc.Client))
		var wg sync.WaitGroup
		wg.Go(func() { set(going, nil) })
		wg.Go(func() { set(coming, new(geerpc.Client)) })
		wg.Wait()
		if !s.health.fit() {
			t.Fatal("it is connected, and down")
		}
		set(coming, nil)
		if s.health.fit() {
			t.Fatal("there is no connection, and it is not down")
		}
	}
}

// TestConnection_TurnsWrap: after 2³¹ turns an int of 32 bits is negative.
func TestConnection_TurnsWrap(t *testing.T) {
	s := &Server{conns: []*connection{new(connection), new(connection), new(connection)}}
	s.nextConn.Store(1<<31 - 2)
	w := newWorld(t)
	client, err := geerpc.XDial(w.start("a"), &geerpc.Option{Dialer: w.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range s.conns {
		s.conns[i].client.Store(client)
	}
	for range 10 {
		if s.client() == nil {
			t.Error("no client")
		}
	}
}
