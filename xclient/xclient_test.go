package xclient

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/registry"
)

func TestCallGoesRound(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
	connectAll(t, xc)
	for range 10 {
		name(t, xc)
	}
	for _, host := range []string{"a", "b"} {
		if n, dials := w.host(host).work.calls.Load(), w.dialed(host); n != 5 || dials != 1 {
			t.Errorf("%s: %d calls over %d connections, want 5 over 1", host, n, dials)
		}
	}
}

func TestErrorsOfMethodsPass(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	err := xc.Call(context.Background(), "Work.Fail", 0, nil)
	wantError(t, err, geerpc.CodeFailedPrecondition, geerpc.InMethod, geerpc.RanYes)
	if err.Error() != "a is not in the mood" {
		t.Error(err)
	}
}

func TestTypedMethodTakesXClient(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	got, err := geerpc.Method[int, string]("Work.Name")(context.Background(), xc, 0)
	if got != "a" || err != nil {
		t.Error(got, err)
	}
}

func TestNoServers(t *testing.T) {
	xc := NewXClient(NewMultiServerDiscovery(nil), RandomSelect, nil)
	defer xc.Close()
	for _, call := range []func(context.Context, string, any, any) error{xc.Call, xc.Broadcast} { // A32
		err := call(context.Background(), "Work.Name", 0, nil)
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		if !strings.Contains(err.Error(), "no available servers") {
			t.Error(err)
		}
	}
}

// TestA17_OptionIsCopied changes the caller's option after NewXClient.
func TestA17_OptionIsCopied(t *testing.T) {
	w := newWorld(t)
	opt := &geerpc.Option{Dialer: w.DialContext}
	xc := NewXClient(NewMultiServerDiscovery([]string{w.start("a")}), RandomSelect, opt)
	defer xc.Close()
	opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not this one") }
	name(t, xc)
}

// TestA28_RegistryDies while its list is in use.
func TestA28_RegistryDies(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewServer(registry.New(time.Minute))
	reg := registry.Heartbeat(r.URL, w.start("a"), 0)
	defer reg.Close()
	d := NewGeeRegistryDiscovery(r.URL, time.Nanosecond)
	defer d.Close()
	xc := w.client(d)
	name(t, xc)
	r.CloseClientConnections()
	r.Close()
	var err error
	eventually(t, "Refresh fails", func() bool { err = d.Refresh(); return err != nil })
	wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
	for range 100 {
		name(t, xc)
	}
}

// TestA29_ServerThatHangsOnDial costs its own callers what they are ready to
// pay, and others nothing. There is one dial, whoever comes and goes.
func TestA29_ServerThatHangsOnDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("dead", true)
		xc := w.client(NewMultiServerDiscovery([]string{"pipe@dead"}))
		call := func(wg *sync.WaitGroup, timeout time.Duration) {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				defer cancel()
				begin := time.Now()
				err := xc.Call(ctx, "Work.Name", 0, nil)
				wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.InClient, geerpc.RanNever)
				if took := time.Since(begin); took != timeout || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a call with %s: %v after %s", timeout, err, took)
				}
			})
		}
		var wg sync.WaitGroup
		for i := range 20 {
			call(&wg, time.Duration(i+1)*time.Second/10)
		}
		synctest.Wait()
		w.start("good")
		begin := time.Now()
		for range 10 {
			if err := callAt(xc, "pipe@good", "Work.Name"); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("ten calls to a good server took %s", took)
		}
		wg.Wait()
		if n := w.dialed("dead"); n != 1 {
			t.Errorf("%d dials of the dead server", n)
		}
	})
}

// TestSharedDial: all who waited get the connection, also when those who came
// first have left.
func TestSharedDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		addr := w.start("a")
		slow := func(ctx context.Context, network, address string) (net.Conn, error) {
			time.Sleep(time.Second)
			return w.DialContext(ctx, network, address)
		}
		xc := NewXClient(NewMultiServerDiscovery([]string{addr}), RandomSelect, &geerpc.Option{Dialer: slow})
		defer xc.Close()
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := xc.Call(short, "Work.Name", 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { name(t, xc) })
		}
		wg.Wait()
		if n := w.dialed("a"); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

// TestFailedDialIsNotCached: the call after the server has come works.
func TestFailedDialIsNotCached(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{"pipe@a"}))
	err := xc.Call(context.Background(), "Work.Name", 0, nil)
	wantError(t, err, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanNever)
	w.start("a")
	eventually(t, "calls work", func() bool { return xc.Call(context.Background(), "Work.Name", 0, nil) == nil })
}

// TestRedial restarts the only server, again and again.
func TestRedial(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	for range 5 {
		name(t, xc)
		w.host("a").stop()
		eventually(t, "the client notices", func() bool { return w.connections("a") == 0 })
		w.start("a")
		eventually(t, "calls work again", func() bool {
			return xc.Call(context.Background(), "Work.Name", 0, nil) == nil
		})
	}
	if n := w.connections("a"); n != 1 {
		t.Errorf("%d connections are open", n)
	}
}

// TestServerThatDrains is answered on the old connection, while new calls go
// over a new one.
func TestServerThatDrains(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	old := w.host("a")
	pending := make(chan error, 1)
	go func() { pending <- xc.Call(context.Background(), "Work.Wait", 0, nil) }()
	eventually(t, "the method runs", func() bool { return old.work.calls.Load() == 1 })
	shut := make(chan error, 1)
	go func() { shut <- old.Shutdown(context.Background()) }()
	<-old.served
	w.start("a")
	eventually(t, "calls go to the new server", func() bool {
		return xc.Call(context.Background(), "Work.Name", 0, nil) == nil
	})
	select {
	case err := <-pending:
		t.Fatalf("the call in flight was given up: %v", err)
	default:
	}
	close(old.work.gate)
	if err := <-pending; err != nil {
		t.Error("the call in flight: ", err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

// TestA31_ServerLeavesTheList: its connection is closed when its calls have
// ended, without any further call.
func TestA31_ServerLeavesTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.start("a"), w.start("b")
		d := NewMultiServerDiscovery([]string{a, b})
		xc := w.client(d)
		name(t, xc)
		name(t, xc)
		pending := make(chan error, 1)
		go func() { pending <- callAt(xc, a, "Work.Wait") }()
		synctest.Wait()
		time.Sleep(time.Hour)
		d.Update(nil) // as good as any other list without them
		time.Sleep(sweepInterval)
		synctest.Wait()
		if n, m := w.connections("a"), w.connections("b"); n != 1 || m != 0 {
			t.Errorf("%d and %d connections, want 1 in use and 0", n, m)
		}
		close(w.host("a").work.gate)
		if err := <-pending; err != nil {
			t.Errorf("the call in flight: %v", err)
		}
		synctest.Wait()
		if n := w.connections("a"); n != 0 {
			t.Errorf("%d connections after the last call", n)
		}
		d.Update([]string{a})
		time.Sleep(time.Hour)
		name(t, xc)
		d.Update([]string{b}) // the sweeps have begun again
		time.Sleep(sweepInterval)
		synctest.Wait()
		if n := w.connections("a"); n != 0 {
			t.Errorf("%d connections after it has left once more", n)
		}
	})
}

// TestA31_ServerLeavesDuringDial: who waits for it looks again, and finds
// nobody.
func TestA31_ServerLeavesDuringDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("a", true)
		d := NewMultiServerDiscovery([]string{"pipe@a"})
		xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext}, Retry: Retry{MaxAttempts: 1}})
		defer xc.Close()
		result := make(chan error, 1)
		go func() { result <- xc.Call(context.Background(), "Work.Name", 0, nil) }()
		synctest.Wait()
		d.Update(nil)
		err := <-result
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		if errors.Is(err, context.Canceled) || !errors.Is(err, errNoServers) {
			t.Error(err)
		}
	})
}

// TestListThatCantBeHad keeps the connections.
func TestListThatCantBeHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &brokenDiscovery{Discovery: NewMultiServerDiscovery([]string{w.start("a")})}
		xc := w.client(d)
		name(t, xc)
		time.Sleep(time.Hour)
		name(t, xc)
		if n := w.dialed("a"); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

type brokenDiscovery struct{ Discovery }

func (*brokenDiscovery) GetAll() ([]string, error) { return nil, errors.New("out of order") }

func TestA31_CallAfterClose(t *testing.T) {
	w := newWorld(t)
	d := NewMultiServerDiscovery([]string{w.start("a")})
	xc := w.client(d)
	name(t, xc)
	dials := w.dialed("a")
	for range 2 {
		if err := xc.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := w.connections("a"); n != 0 {
		t.Errorf("%d connections after Close", n)
	}
	for range 2 {
		if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != geerpc.ErrShutdown {
			t.Error("Call: ", err)
		}
		if err := xc.Broadcast(context.Background(), "Work.Name", 0, nil); err != geerpc.ErrShutdown {
			t.Error("Broadcast: ", err)
		}
		d.Update(nil) // ErrShutdown has precedence
	}
	if n := w.dialed("a"); n != dials {
		t.Errorf("%d dials after Close", n-dials)
	}
}

// TestCloseEndsEverything: calls in flight, calls that wait for a connection,
// and dials.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, hanging := w.start("a"), "pipe@hanging"
		w.hang("hanging", true)
		xc := w.client(NewMultiServerDiscovery([]string{a, hanging}))
		results := make(chan error, 2)
		for _, addr := range []string{a, hanging} {
			go func() { results <- callAt(xc, addr, "Work.Wait") }()
		}
		synctest.Wait()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { xc.Close() })
		}
		wg.Wait()
		for range 2 {
			if err := <-results; !errors.Is(err, geerpc.ErrShutdown) {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := w.connections("a"); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}

// TestEverythingAtOnce has calls, updates, dead servers and Close race.
func TestEverythingAtOnce(t *testing.T) {
	w := newWorld(t)
	lists := [][]string{{w.start("a")}, {w.start("b"), w.start("c")}, {"pipe@nobody", w.start("d")}, nil}
	d := NewMultiServerDiscovery(lists[0])
	xc := w.client(d)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 50 {
				switch (n + i) % 10 {
				case 0:
					d.Update(lists[n/10%len(lists)])
				case 1:
					xc.set.sync()
				case 2:
					xc.Broadcast(context.Background(), "Work.Name", 0, new(string))
				default:
					var reply string
					if xc.Call(context.Background(), "Work.Name", 0, &reply) == nil && len(reply) != 1 {
						t.Errorf("reply is %q", reply)
					}
				}
			}
		})
	}
	wg.Wait()
	xc.Close()
	for _, host := range []string{"a", "b", "c", "d"} {
		if n := w.connections(host); n != 0 {
			t.Errorf("%s: %d connections are open", host, n)
		}
	}
}
