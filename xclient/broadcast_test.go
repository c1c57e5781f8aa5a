package xclient

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

func TestBroadcast(t *testing.T) {
	w := newWorld(t)
	names := []string{"a", "b", "c"}
	var addrs []string
	for _, name := range names {
		addrs = append(addrs, w.start(name))
	}
	xc := w.client(NewMultiServerDiscovery(addrs))
	for range 20 {
		var reply string
		if err := xc.Broadcast(context.Background(), "Work.Name", 0, &reply); err != nil {
			t.Fatal(err)
		}
		if len(reply) != 1 || !strings.Contains("abc", reply) {
			t.Fatalf("reply is %q", reply)
		}
		if err := xc.Broadcast(context.Background(), "Work.Name", 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		if n := w.host(name).work.calls.Load(); n != 40 {
			t.Errorf("%s was called %d times, want 40", name, n)
		}
	}
}

// TestA32_OneOfManyFails: the others are cancelled, and each is reported, the
// cause first.
func TestA32_OneOfManyFails(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), w.start("c")}))
	reply := "untouched"
	err := xc.Broadcast(context.Background(), "Work.FailAt", "b", &reply)
	wantError(t, err, geerpc.CodeFailedPrecondition, geerpc.InMethod, geerpc.RanYes)
	if !strings.HasPrefix(err.Error(), "pipe@b: b is not in the mood") {
		t.Errorf("the first to fail is not the first to be named: %v", err)
	}
	for _, addr := range []string{"pipe@a: ", "pipe@b: ", "pipe@c: "} {
		if strings.Count("\n"+err.Error(), "\n"+addr) != 1 {
			t.Errorf("%q does not begin one line: %v", addr, err)
		}
	}
	if !errors.Is(err, ErrAbandoned) {
		t.Errorf("the others don't count as abandoned: %v", err)
	}
	if reply != "untouched" {
		t.Errorf("nobody answered, the reply is %q", reply)
	}
}

// TestA32_ReplyBesideAnError: one server has answered, one can't be reached.
func TestA32_ReplyBesideAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		opt := &geerpc.Option{ConnectTimeout: time.Second, Dialer: w.DialContext}
		w.hang("dead", true)
		xc := NewXClient(NewMultiServerDiscovery([]string{"pipe@dead", w.start("a")}), RandomSelect, opt)
		defer xc.Close()
		var reply string
		err := xc.Broadcast(context.Background(), "Work.Name", 0, &reply)
		wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanNever)
		if !strings.HasPrefix(err.Error(), "pipe@dead: ") || !strings.Contains(err.Error(), "connect timeout") || reply != "a" {
			t.Errorf("reply %q, %v", reply, err)
		}
	})
}

// TestG71_BroadcastWhereOneHangs ends with its context.
func TestG71_BroadcastWhereOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.start("a"), w.start("b")
		close(w.host("a").work.gate)
		xc := w.client(NewMultiServerDiscovery([]string{a, b}))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var reply string
		begin := time.Now()
		err := xc.Broadcast(ctx, "Work.Wait", 0, &reply)
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%v after %s", err, took)
		}
		if !strings.HasPrefix(err.Error(), "pipe@b: ") || strings.Contains(err.Error(), "pipe@a") || reply != "a" {
			t.Errorf("reply %q, %v", reply, err)
		}
	})
}

func TestBroadcastTakesTheFirstReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		var reply string
		done := make(chan error, 1)
		go func() { done <- xc.Broadcast(context.Background(), "Work.Wait", 0, &reply) }()
		synctest.Wait()
		close(w.host("b").work.gate)
		synctest.Wait()
		close(w.host("a").work.gate)
		if err := <-done; err != nil || reply != "b" {
			t.Errorf("reply %q, %v; want b, which was first", reply, err)
		}
	})
}

func TestBroadcastReplyThatIsNoPointer(t *testing.T) {
	xc := NewXClient(NewMultiServerDiscovery([]string{"pipe@a"}), RandomSelect, nil)
	defer xc.Close()
	for _, reply := range []any{"", (*string)(nil), map[string]int{}} {
		err := xc.Broadcast(context.Background(), "Work.Name", 0, reply)
		wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
	}
}

// TestA32_BroadcastAllGoesOn: a server that fails is reported, and no reason to
// cancel the others.
func TestA32_BroadcastAllGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), "pipe@dead", w.start("b"), "pipe@gone"}))
		var reply string
		done := make(chan error, 1)
		go func() { done <- xc.BroadcastAll(context.Background(), "Work.Wait", 0, &reply) }() // ends below
		synctest.Wait()
		close(w.host("b").work.gate)
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("it does not wait for all: ", err)
		default:
		}
		close(w.host("a").work.gate)
		err := <-done
		wantError(t, err, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanNever)
		text := "\n" + err.Error()
		if strings.Count(text, "\n") != 2 || !strings.Contains(text, "\npipe@dead: ") || !strings.Contains(text, "\npipe@gone: ") {
			t.Errorf("not one line for each that failed: %v", err)
		}
		if reply != "b" {
			t.Errorf("the reply is %q, want b, which was first", reply)
		}
	})
}

// TestG71_BroadcastAllWhereOneHangs ends with its context.
func TestG71_BroadcastAllWhereOneHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), "pipe@dead"}))
		close(w.host("a").work.gate)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var reply string
		begin := time.Now()
		err := xc.BroadcastAll(ctx, "Work.Wait", 0, &reply)
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || reply != "a" {
			t.Errorf("%q, %v after %s", reply, err, took)
		}
	})
}

// TestG108_CancelledForAnother: only a cancellation of the caller's, or one
// that a server tells of, is context.Canceled.
func TestG108_CancelledForAnother(t *testing.T) {
	cases := []struct {
		name                string
		at                  string // the server that fails; "": none does
		cancel              bool   // the caller's context
		code                geerpc.Code
		canceled, abandoned bool
	}{
		{"another fails", "b", false, geerpc.CodeFailedPrecondition, false, true},
		{"the caller cancels", "", true, geerpc.CodeCanceled, true, false},
		{"a server says canceled", "canceled@b", false, geerpc.CodeCanceled, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), w.start("c")}))
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if c.cancel {
					time.AfterFunc(time.Second, cancel)
				}
				err := xc.Broadcast(ctx, "Work.FailAt", c.at, nil)
				if geerpc.CodeOf(err) != c.code || errors.Is(err, context.Canceled) != c.canceled || errors.Is(err, ErrAbandoned) != c.abandoned {
					t.Errorf("%v: canceled is %v, abandoned is %v", err, errors.Is(err, context.Canceled), errors.Is(err, ErrAbandoned))
				}
				for _, addr := range []string{"pipe@a: ", "pipe@b: ", "pipe@c: "} {
					if strings.Count("\n"+err.Error(), "\n"+addr) != 1 {
						t.Errorf("%q does not begin one line: %v", addr, err)
					}
				}
			})
		})
	}
}

// TestG108_WhileDialled: the call that is cancelled was still waiting for a
// connection, so its method never ran.
func TestG108_WhileDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.hang("slow", true)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), "pipe@slow"}))
		err := xc.Broadcast(context.Background(), "Work.Fail", 0, nil)
		if errors.Is(err, context.Canceled) || !errors.Is(err, ErrAbandoned) {
			t.Error(err)
		}
		errs := err.(interface{ Unwrap() []error }).Unwrap()
		wantError(t, errs[1], geerpc.CodeAborted, geerpc.InClient, geerpc.RanNever)
	})
}
