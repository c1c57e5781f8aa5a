package xclient

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestFork: the first good answer counts, and the others are cancelled.
func TestFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), w.start("c"), "pipe@dead"}))
		close(w.host("b").work.gate)
		for _, reply := range []any{new(string), nil} {
			begin := time.Now()
			if err := xc.Fork(context.Background(), "Work.Wait", 0, reply); err != nil || time.Since(begin) > 0 {
				t.Errorf("%v after %s", err, time.Since(begin))
			}
			if into, ok := reply.(*string); ok && *into != "b" {
				t.Errorf("the reply is %q, want b", *into)
			}
		}
		synctest.Wait() // for dials that Fork did not
		for _, name := range []string{"a", "c"} {
			if w.connections(name) != 1 {
				t.Errorf("%s has %d connections: a call was cancelled with its connection", name, w.connections(name))
			}
		}
	})
}

// TestA32_ForkWithoutAnswer names each server and what it failed with.
func TestA32_ForkWithoutAnswer(t *testing.T) {
	w := newWorld(t)
	xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b"), "pipe@dead"}))
	reply := "untouched"
	err := xc.Fork(context.Background(), "Work.Fail", 0, &reply)
	for _, want := range []string{"pipe@a: a is not in the mood", "pipe@b: b is not in the mood", "pipe@dead: rpc client: no such host"} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	if reply != "untouched" {
		t.Errorf("nobody answered, the reply is %q", reply)
	}
}

// TestG71_ForkWhereAllHang ends with its context.
func TestG71_ForkWhereAllHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		xc := w.client(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begin := time.Now()
		err := xc.Fork(ctx, "Work.Wait", 0, nil)
		if took := time.Since(begin); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// allWays are the methods that call all servers.
func allWays(xc *XClient) map[string]geerpc.CallFunc {
	return map[string]geerpc.CallFunc{"Broadcast": xc.Broadcast, "BroadcastAll": xc.BroadcastAll, "Fork": xc.Fork}
}

func TestA32_NoServer(t *testing.T) {
	xc := NewXClient(NewMultiServerDiscovery(nil), RandomSelect, nil)
	defer xc.Close()
	for name, call := range allWays(xc) {
		if err := call(context.Background(), "Work.Name", 0, nil); !errors.Is(err, errNoServers) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllServersAfterClose(t *testing.T) {
	xc := NewXClient(NewMultiServerDiscovery([]string{"pipe@a"}), RandomSelect, nil)
	xc.Close()
	for name, call := range allWays(xc) {
		if err := call(context.Background(), "Work.Name", 0, nil); !errors.Is(err, geerpc.ErrShutdown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReplyMetadataOfMany: many replies bring metadata at once, and the caller
// gets that of one.
func TestReplyMetadataOfMany(t *testing.T) {
	w := newWorld(t)
	var addrs []string
	for _, name := range []string{"a", "b", "c", "d"} {
		addrs = append(addrs, w.start(name))
		geerpc.RegisterFunc(w.host(name).Server, "Meta.Name", func(ctx context.Context, _ int) (string, error) {
			return name, geerpc.SetReplyMetadata(ctx, name, name)
		})
	}
	xc := w.client(NewMultiServerDiscovery(addrs))
	for name, call := range allWays(xc) {
		for range 20 {
			var reply string
			md := geerpc.Metadata{"kept": "yes"}
			if err := call(geerpc.WithReplyMetadata(context.Background(), md), "Meta.Name", 0, &reply); err != nil {
				t.Fatal(name, err)
			}
			if want := (geerpc.Metadata{"kept": "yes", reply: reply}); !maps.Equal(md, want) {
				t.Fatalf("%s: the metadata is %q, want %q", name, md, want)
			}
		}
	}
}

// TestG72_AllServersPanic: an interceptor panics where its caller is not.
func TestG72_AllServersPanic(t *testing.T) {
	w := newWorld(t)
	opt := &geerpc.Option{Dialer: w.DialContext, Interceptors: []geerpc.Interceptor{
		func(geerpc.CallFunc) geerpc.CallFunc {
			return func(context.Context, string, any, any) error { panic("out of coffee") }
		},
	}}
	xc := NewXClient(NewMultiServerDiscovery([]string{w.start("a"), w.start("b")}), RandomSelect, opt)
	defer xc.Close()
	for name, call := range allWays(xc) {
		err := call(context.Background(), "Work.Name", 0, nil)
		wantError(t, err, geerpc.CodeInternal, geerpc.InClient, geerpc.RanMaybe)
		if !strings.Contains(err.Error(), "out of coffee") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
