package xclient

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// A breaking is a Discovery, of four methods, whose GetAll does what it is told.
type breaking struct {
	Discovery
	act atomic.Pointer[func()]
}

func (d *breaking) GetAll() ([]string, error) {
	if act := d.act.Load(); act != nil {
		(*act)()
	}
	return d.Discovery.GetAll()
}

// A breakingLister is an EndpointDiscovery that breaks in the sweep.
type breakingLister struct{ *breaking }

// Endpoints implements EndpointDiscovery.
func (d breakingLister) Endpoints(ctx context.Context) (*List, error) {
	if ctx.Err() != nil { // it is the sweep
		d.GetAll()
	}
	return d.Discovery.(*MultiServersDiscovery).List(ctx)
}

func brokenActs() map[string]func() {
	return map[string]func(){"panics": func() { panic("no list") }, "exits": runtime.Goexit}
}

// TestD211_DiscoveryBreaksInTheSweep: its panic is logged once, and ends neither
// the process nor the sweeps.
func TestD211_DiscoveryBreaksInTheSweep(t *testing.T) {
	for what, act := range brokenActs() {
		for _, lists := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				own := NewMultiServerDiscovery([]string{w.start("a"), w.start("b")})
				b := &breaking{Discovery: own}
				var d Discovery = b
				if lists {
					d = breakingLister{b}
				}
				var text bytes.Buffer
				xc := New(d, Config{Option: &geerpc.Option{Dialer: w.DialContext, Logger: slog.New(slog.NewTextHandler(&text, nil))}})
				connectAll(t, xc)
				b.act.Store(&act)
				time.Sleep(3*sweepInterval + 1)
				name(t, xc)
				b.act.Store(nil)
				own.Update([]string{"pipe@a"})
				time.Sleep(sweepInterval)
				synctest.Wait()
				if n := w.connections("b"); n != 0 {
					t.Errorf("%s, lists: %v: no sweep since", what, lists)
				}
				xc.Close()
				if n := strings.Count(text.String(), "the Discovery panicked"); n != 1 {
					t.Errorf("%s, lists: %v: logged %d times: %s", what, lists, n, &text)
				}
			})
		}
	}
}

// TestD211_UsersCodeHangs: a Discovery does, and so does a Dialer that heeds no context: Close
// leaves them behind.
func TestD211_UsersCodeHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := &breaking{Discovery: NewMultiServerDiscovery([]string{w.start("a")})}
		release := make(chan struct{})
		hangs := func() { <-release }
		xc := w.client(d)
		name(t, xc)
		d.act.Store(&hangs)
		time.Sleep(sweepInterval)
		synctest.Wait() // the sweep is in GetAll
		deaf := New(NewMultiServerDiscovery([]string{"pipe@a"}), Config{Option: &geerpc.Option{Dialer: func(context.Context, string, string) (net.Conn, error) {
			<-release
			return nil, errors.New("too late")
		}}})
		ended := deaf.Go("Work.Name", 0, nil, nil).Done
		synctest.Wait()
		for _, xc := range []*XClient{xc, deaf} {
			begin := time.Now()
			xc.Close()
			if took := time.Since(begin); took > closeGrace {
				t.Errorf("Close took %s", took)
			}
		}
		if call := <-ended; !errors.Is(call.Error, geerpc.ErrShutdown) {
			t.Error(call.Error)
		}
		close(release)
	})
}

// TestD211_DialerBreaks: that is the error of the dial, and logged. Calls have
// other servers.
func TestD211_DialerBreaks(t *testing.T) {
	for what, act := range brokenActs() {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			dialer := func(ctx context.Context, network, name string) (net.Conn, error) {
				if name == "bad" {
					act()
				}
				return w.DialContext(ctx, network, name)
			}
			xc := New(NewMultiServerDiscovery([]string{"pipe@bad", w.start("good")}), Config{Option: &geerpc.Option{Dialer: dialer}})
			defer xc.Close()
			for range 20 {
				name(t, xc)
			}
			if err := callAt(xc, "pipe@bad", "Work.Name"); ranOf(err) != geerpc.RanNever || geerpc.CodeOf(err) != geerpc.CodeInternal {
				t.Errorf("it %s: %v", what, err)
			}
		})
	}
}

// TestD211_BroadcastOverADrainedConnection, and Fork: it was drained before the
// call was sent, by a server that goes on. The call is made over another one.
func TestD211_BroadcastOverADrainedConnection(t *testing.T) {
	for _, call := range []func(*XClient, context.Context, string, any, any) error{(*XClient).Broadcast, (*XClient).BroadcastAll, (*XClient).Fork} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var xc *XClient
			var once sync.Once
			drains := func(next geerpc.CallFunc) geerpc.CallFunc {
				return func(ctx context.Context, serviceMethod string, args, reply any) error {
					once.Do(func() {
						s, _ := xc.set.server("pipe@a")
						go s.conns[0].client.Load().Shutdown(t.Context()) // ends with the connection
						synctest.Wait()
					})
					return next(ctx, serviceMethod, args, reply)
				}
			}
			xc = New(NewMultiServerDiscovery([]string{w.start("a")}), Config{
				Option: &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{drains}}})
			defer xc.Close()
			var reply string
			if err := call(xc, t.Context(), "Work.Name", 0, &reply); err != nil || reply != "a" {
				t.Errorf("%q, %v", reply, err)
			}
		})
	}
}

// TestD211_NoRetryAfterClose: a call is in the pause before its next attempt, or
// in flight, when the XClient is closed.
func TestD211_NoRetryAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		loses := func(next geerpc.CallFunc) geerpc.CallFunc {
			return func(ctx context.Context, serviceMethod string, args, reply any) error {
				attempts.Add(1)
				if serviceMethod == "Work.Name" {
					return errLost
				}
				return next(ctx, serviceMethod, args, reply)
			}
		}
		w := newWorld(t)
		xc := New(NewMultiServerDiscovery([]string{w.start("a")}), Config{
			Option: &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{loses}},
			Retry:  Retry{Backoff: time.Hour, MaxBackoff: time.Hour}})
		connectAll(t, xc)
		done := make(chan error, 2)
		go func() { done <- xc.Call(Idempotent(t.Context()), "Work.Wait", 0, nil) }()
		go func() { done <- xc.Call(Idempotent(t.Context()), "Work.Name", 0, nil) }()
		synctest.Wait()
		begin, dials := time.Now(), w.dialed("a")
		xc.Close()
		for range cap(done) {
			if err := <-done; !errors.Is(err, geerpc.ErrShutdown) || ranOf(err) != geerpc.RanMaybe {
				t.Errorf("ran %v: %v", ranOf(err), err)
			}
		}
		if n := attempts.Load(); n != 2 || time.Since(begin) > closeGrace || w.dialed("a") != dials {
			t.Errorf("%d attempts of two calls, %d dials, and calls that ended %s after Close", n, w.dialed("a")-dials, time.Since(begin))
		}
	})
}
