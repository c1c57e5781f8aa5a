package geerpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/link"
)

// newCallContext returns the context of a call, with that much time left
// unless that is zero, and what closes its connection.
func newCallContext(t *testing.T, left time.Duration) (ctx *callContext, closeLink func(error)) {
	near, _ := net.Pipe()
	l := link.New(near, link.Config{Report: new(Server).report})
	k := &servedCall{conn: &conn{link: l, server: &Server{}}}
	k.makeContext(0, left, nil)
	return k.ctx, l.Fail
}

// Looked at before it ends, only after it, or both: what a context says has to
// be the same, and must not change.
func TestCallContext(t *testing.T) {
	lost := errors.New("lost")
	ends := []struct {
		name  string
		end   func(c *callContext, closeLink func(error))
		err   error
		cause error
	}{
		{"cancelled", func(c *callContext, _ func(error)) { c.cancel() }, context.Canceled, context.Canceled},
		{"connection lost", func(_ *callContext, closeLink func(error)) { closeLink(lost) }, context.Canceled, lost},
		{"deadline", func(*callContext, func(error)) { time.Sleep(time.Second) }, context.DeadlineExceeded, context.DeadlineExceeded},
	}
	looks := []struct {
		name string
		look func(c *callContext)
	}{
		{"nothing", func(*callContext) {}},
		{"Err", func(c *callContext) { c.Err() }},
		{"Done", func(c *callContext) { c.Done() }},
	}
	for _, e := range ends {
		for _, before := range looks {
			for _, after := range looks {
				t.Run(e.name+"/"+before.name+" before/"+after.name+" after", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, closeLink := newCallContext(t, time.Second)
						before.look(c)
						if err := c.Err(); err != nil {
							t.Fatalf("ended already: %v", err)
						}
						e.end(c, closeLink)
						after.look(c)
						synctest.Wait()
						if after.name == "Err" && c.Err() != e.err {
							t.Errorf("Err %v, want %v", c.Err(), e.err)
						}
						wantEnded(t, c, e.err, e.cause)
						c.cancel() // as when the method returns
						closeLink(errDone)
						wantEnded(t, c, e.err, e.cause)
					})
				})
			}
		}
	}
}

func wantEnded(t *testing.T, c *callContext, err, cause error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c.Done():
	default:
		t.Error("Done is not closed")
	}
	if c.Err() != err || context.Cause(c) != cause {
		t.Errorf("Err %v, cause %v, want %v, %v", c.Err(), context.Cause(c), err, cause)
	}
}

// What Err has said stays true for what is asked only then, when the connection
// has ended in between.
func TestCallContext_LateLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, closeLink := newCallContext(t, time.Second)
		time.Sleep(time.Second)
		if err := c.Err(); err != context.DeadlineExceeded {
			t.Error(err)
		}
		closeLink(errDone)
		wantEnded(t, c, context.DeadlineExceeded, context.DeadlineExceeded)
	})
}

// A context that nobody has looked at ends those derived from it, and runs
// what waits for its end.
func TestCallContext_Derived(t *testing.T) {
	c, _ := newCallContext(t, 0)
	child, stop := context.WithTimeout(context.WithValue(c, callKey{}, "other"), time.Hour)
	defer stop()
	ran := make(chan bool)
	context.AfterFunc(c, func() { close(ran) })
	if _, ok := c.Deadline(); ok {
		t.Error("there is a deadline")
	}
	c.cancel()
	<-child.Done()
	<-ran
	if callFrom(c) != c || c.Value("other") != nil {
		t.Error("it does not know its call, or knows more")
	}
}

// Handlers that don't look at their context don't pay for one.
func TestCallContext_MadeOnDemand(t *testing.T) {
	c, _ := newCallContext(t, time.Hour)
	_, _, _ = c.Err(), callFrom(c), c.cancel
	if c.cancel(); c.real.Load() != cancelled {
		t.Error("a context was made")
	}
}

// Whoever looks while it ends in several ways sees the same: one reason, that
// does not change, and its end, once there is a reason.
func TestCallContext_AtOnce(t *testing.T) {
	lost := errors.New("lost")
	for i := range 1000 {
		c, closeLink := newCallContext(t, time.Duration(i%100+1)*time.Microsecond)
		var all sync.WaitGroup
		reasons := make(chan [2]error, 100)
		look := func(ctx context.Context) {
			for range 10 {
				if err := ctx.Err(); err != nil {
					reasons <- [2]error{err, context.Cause(ctx)}
					<-ctx.Done() // at once, or the test does not end
				}
			}
		}
		for range 3 {
			all.Go(func() { look(c) })
		}
		all.Go(func() {
			child, stop := context.WithCancel(c)
			defer stop()
			<-child.Done()
			look(child)
			look(c)
		})
		all.Go(c.cancel)
		if i%2 == 0 {
			all.Go(func() { closeLink(lost) })
		}
		all.Wait()
		close(reasons)
		first := <-reasons
		for r := range reasons {
			if r != first {
				t.Fatalf("it ended because of %v, and of %v", first, r)
			}
		}
	}
}

// A method's context can be printed with any verb, and those made from it with
// any that their own String serves: that neither races with the call, which may
// be cancelled meanwhile, nor shows its metadata.
func TestC126_PrintedContext(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		running, printed := make(chan struct{}), make(chan string, 1)
		RegisterFunc(e.Server, "Test.Print", func(ctx context.Context, _ Args) (Reply, error) {
			running <- struct{}{}
			derived, cancel := context.WithCancel(context.WithValue(ctx, callKey{}, 1))
			defer cancel()
			timed, cancel := context.WithTimeout(derived, time.Hour)
			defer cancel()
			var b strings.Builder
			for range 20 {
				for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x"} {
					fmt.Fprintf(&b, verb+verb+verb+"\n", ctx, derived, timed)
				}
				fmt.Fprintf(&b, "%#v %d %#v\n", ctx, ctx, struct{ C context.Context }{ctx})
			}
			slog.New(slog.NewTextHandler(&b, nil)).Info("as text", "ctx", ctx)
			slog.New(slog.NewJSONHandler(&b, nil)).Info("as JSON", "ctx", ctx)
			printed <- b.String()
			return Reply{}, nil
		})
		client := e.dial(nil)
		for range 5 {
			ctx, cancel := context.WithCancel(WithMetadata(t.Context(), Metadata{"token": "hush"}))
			call := make(chan error, 1)
			go func() { call <- client.Call(ctx, "Test.Print", Args{}, nil) }()
			<-running
			cancel()
			<-call
			if text := <-printed; strings.Contains(text, "hush") || !strings.Contains(text, "geerpc.callContext.WithValue") {
				t.Fatalf("printed: %.2000s", text)
			}
		}
	})
}
