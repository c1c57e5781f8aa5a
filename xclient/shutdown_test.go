package xclient

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// shutdownWays are the ways to make a call that Shutdown waits for.
var shutdownWays = []struct {
	name string
	call func(xc *XClient) error
}{
	{"Call", func(xc *XClient) error { return xc.Call(context.Background(), "Work.Wait", 0, nil) }},
	{"Go", func(xc *XClient) error { return (<-xc.Go("Work.Wait", 0, nil, nil).Done).Error }},
	{"Broadcast", func(xc *XClient) error { return xc.Broadcast(context.Background(), "Work.Wait", 0, nil) }},
	{"BroadcastAll", func(xc *XClient) error { return xc.BroadcastAll(context.Background(), "Work.Wait", 0, nil) }},
	{"Fork", func(xc *XClient) error { return xc.Fork(context.Background(), "Work.Wait", 0, nil) }},
}

// TestShutdown_Drains: a call under way is answered, later ones are refused.
func TestShutdown_Drains(t *testing.T) {
	for _, way := range shutdownWays {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
				underWay, ended := make(chan error, 1), make(chan error, 1)
				go func() { underWay <- way.call(xc) }()
				synctest.Wait()
				go func() { ended <- xc.Shutdown(context.Background()) }()
				synctest.Wait()
				if err := way.call(xc); !errors.Is(err, geerpc.ErrShutdown) {
					t.Errorf("a call during Shutdown: %v", err)
				}
				select {
				case err := <-ended:
					t.Fatalf("Shutdown returned %v before the call", err)
				default:
				}
				close(w.host("a").work.gate)
				if err := <-underWay; err != nil {
					t.Errorf("the call under way: %v", err)
				}
				if err := <-ended; err != nil {
					t.Errorf("Shutdown: %v", err)
				}
				if n := w.connections("a"); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// TestShutdown_Retries: further attempts of a call under way are not refused.
func TestShutdown_Retries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := New(NewMultiServerDiscovery([]string{"pipe@a"}), Config{Option: &geerpc.Option{Dialer: w.DialContext},
			Retry: Retry{MaxAttempts: 10, Backoff: time.Second}})
		underWay := make(chan error, 1)
		go func() { underWay <- xc.Call(context.Background(), "Work.Name", 0, nil) }() // there is no such server yet
		time.AfterFunc(3*time.Second, func() { w.start("a") })
		synctest.Wait()
		if err := xc.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-underWay; err != nil {
			t.Errorf("the call under way: %v", err)
		}
	})
}

// TestShutdown_ContextEnds: what is left then is ended as by Close.
func TestShutdown_ContextEnds(t *testing.T) {
	for _, way := range shutdownWays {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
				underWay := make(chan error, 1)
				go func() { underWay <- way.call(xc) }()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				if err := xc.Shutdown(ctx); err != context.DeadlineExceeded || time.Since(start) != time.Minute {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if err := <-underWay; !errors.Is(err, geerpc.ErrShutdown) {
					t.Errorf("the call under way: %v", err)
				}
			})
		})
	}
}

// TestShutdown_Unreceived: a call of Go is waited for until it is received.
func TestShutdown_Unreceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
		call := xc.Go("Work.Name", 0, nil, make(chan *geerpc.Call))
		ended := make(chan error, 1)
		go func() { ended <- xc.Shutdown(context.Background()) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("Shutdown returned before the call was received")
		default:
		}
		if <-call.Done; call.Error != nil {
			t.Error(call.Error)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestShutdown_Again: it may be called at any time, any number of times.
func TestShutdown_Again(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	name(t, xc)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := xc.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	xc.Close()
	if err := xc.Shutdown(context.Background()); err != nil {
		t.Errorf("after Close: %v", err)
	}
	var none context.Context
	if err := xc.Shutdown(none); err != errNilContext {
		t.Errorf("with a nil context: %v", err)
	}
	if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != geerpc.ErrShutdown {
		t.Errorf("a call afterwards: %v", err)
	}
}

// TestShutdown_Race: a call that begins as Shutdown does is either refused or
// answered; none is lost on a connection that Shutdown closes.
func TestShutdown_Race(t *testing.T) {
	for range 200 {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
		name(t, xc)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := xc.Call(context.Background(), "Work.Name", 0, nil); err != nil && err != geerpc.ErrShutdown {
					t.Error(err)
				}
			})
		}
		if err := xc.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		w.host("a").stop()
	}
}

// TestCallCounter_Overlap: a call that begins between the two steps of another's end,
// and before draining, is waited for.
func TestCallCounter_Overlap(t *testing.T) {
	var c callCounter
	c.begin()
	if c.count.Add(-1) != 0 { // the first step of its end
		t.Fatal("not counted")
	}
	if !c.begin() {
		t.Fatal("not admitted")
	}
	none := c.drain()
	c.drained() // the second step
	select {
	case <-none:
		t.Fatal("drained while a call is under way")
	default:
	}
	c.end()
	<-none
}
