package xclient

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"geerpc"
)

func TestGo(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
	var reply string
	call := <-xc.Go("Work.Name", 0, &reply, nil).Done
	if call.Error != nil || reply != "a" || call.ServiceMethod != "Work.Name" || call.Args != 0 || call.Reply != &reply {
		t.Errorf("%q, %+v", reply, call)
	}
	call = <-xc.Go("Work.Fail", 0, nil, nil).Done
	wantError(t, call.Error, geerpc.CodeFailedPrecondition, geerpc.InMethod, geerpc.RanYes)
}

// TestGo_Done: a channel that nobody reads holds up nobody, and loses nothing.
func TestGo_Done(t *testing.T) {
	for name, done := range map[string]chan *geerpc.Call{"unbuffered": make(chan *geerpc.Call), "full": make(chan *geerpc.Call, 1)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
			const calls = 10
			for range calls {
				xc.Go("Work.Name", 0, nil, done)
			}
			eventually(t, "all calls have been made", func() bool { return w.host("a").work.calls.Load() == calls })
			seen := make(map[*geerpc.Call]bool)
			for range calls {
				call := <-done
				if seen[call] = true; call.Error != nil {
					t.Error(call.Error)
				}
			}
			if len(seen) != calls {
				t.Errorf("%d calls came back, want %d", len(seen), calls)
			}
		})
	}
}

// TestGo_Close ends the calls, those too that nobody receives.
func TestGo_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a")}))
		xc.Go("Work.Name", 0, nil, make(chan *geerpc.Call))
		flying := xc.Go("Work.Wait", 0, nil, nil)
		synctest.Wait()
		xc.Close()
		if call := <-flying.Done; !errors.Is(call.Error, geerpc.ErrShutdown) {
			t.Error(call.Error)
		}
		if call := <-xc.Go("Work.Name", 0, nil, nil).Done; !errors.Is(call.Error, geerpc.ErrShutdown) {
			t.Error(call.Error)
		}
	})
}

// TestG72_GoPanics: on a goroutine that is nobody's, a panic is an error.
func TestG72_GoPanics(t *testing.T) {
	for _, c := range []struct {
		want string
		do   func()
	}{
		{"out of coffee", func() { panic("out of coffee") }},
		{"ended its goroutine", runtime.Goexit},
	} {
		w := newWorld(t)
		opt := &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{
			func(geerpc.CallFunc) geerpc.CallFunc {
				return func(context.Context, string, any, any) error { c.do(); return nil }
			},
		}}
		xc := NewXClient(NewMultiServerDiscovery([]string{w.start("a")}), RandomSelect, opt)
		call := <-xc.Go("Work.Name", 0, nil, nil).Done
		wantError(t, call.Error, geerpc.CodeInternal, geerpc.InClient, geerpc.RanMaybe)
		if !strings.Contains(call.Error.Error(), c.want) {
			t.Errorf("%v, want %q in it", call.Error, c.want)
		}
		xc.Close()
	}
}

// TestC142_DoneChannelThatIsClosed costs the call that was to be sent on it,
// and not the process.
func TestC142_DoneChannelThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var text bytes.Buffer
		option := &geerpc.Option{Dialer: w.DialContext, Logger: slog.New(slog.NewTextHandler(&text, nil))}
		xc := NewXClient(NewMultiServerDiscovery([]string{w.start("a")}), RandomSelect, option)
		defer xc.Close()
		done := make(chan *geerpc.Call)
		close(done)
		xc.Go("Work.Name", 0, nil, done)
		synctest.Wait()
		if !strings.Contains(text.String(), "Done channel is closed") {
			t.Errorf("logged %q", text.String())
		}
	})
}
