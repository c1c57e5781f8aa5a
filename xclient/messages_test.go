package xclient

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestMessages_AllServersFail: when no server can be reached, the error says how many were
// tried, and how the last of them failed.
func TestMessages_AllServersFail(t *testing.T) {
	refuse := func(_ context.Context, network, address string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: &net.UnixAddr{Name: address}, Err: errors.New("nobody there")}
	}
	d := NewMultiServerDiscovery([]string{"tcp@a:1", "tcp@b:1", "tcp@c:1"})
	xc := New(d, Config{Option: &geerpc.Option{Dialer: refuse}})
	defer xc.Close()
	for range 2 { // the second time all are known to be down
		err := xc.Call(t.Context(), "Work.Name", 1, nil)
		wantError(t, err, geerpc.CodeUnavailable, geerpc.OnLink, geerpc.RanNever)
		if want := `^rpc xclient: Work.Name: attempt 3: 3 servers tried, the last: rpc client: dial tcp [abc]:1: nobody there$`; !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Error(err)
		}
	}
	d.Update([]string{"tcp@a:1"})
	if err := xc.Call(t.Context(), "Work.Name", 1, nil); err == nil || err.Error() != "rpc xclient: Work.Name: attempt 3: rpc client: dial tcp a:1: nobody there" {
		t.Errorf("of one server: %v", err)
	}
}

// TestMessages_Method: each error of a call names the method once, and the server if there
// is one.
func TestMessages_Method(t *testing.T) {
	w := newWorld(t)
	once := func(d Discovery) *XClient {
		xc := New(d, Config{Retry: Retry{MaxAttempts: 1}, Option: &geerpc.Option{Dialer: w.DialContext}})
		t.Cleanup(func() { xc.Close() })
		return xc
	}
	nobody := NewMultiServerDiscovery([]string{"pipe@x", "pipe@y"})
	actors, addrs := cast(t, w, 1)
	actors[0].host.Admit = []func(context.Context, string) error{func(context.Context, string) error { return geerpc.Errorf(geerpc.CodeUnavailable, "not now") }}
	for _, c := range []struct {
		name   string
		xc     *XClient
		method string
		want   string // a regular expression
	}{
		{"several servers", once(nobody), "Work.Name", `^rpc xclient: Work.Name: 2 servers tried, the last: rpc client: pipe@[xy]: no such host: `},
		{"one server", once(NewMultiServerDiscovery([]string{"pipe@x"})), "Work.Name", `^rpc xclient: Work.Name: rpc client: pipe@x: no such host: x$`},
		{"no servers", once(NewMultiServerDiscovery(nil)), "Work.Name", `^rpc xclient: Work.Name: rpc discovery: no available servers$`},
		{"each attempt refused", w.client(NewMultiServerDiscovery(addrs)), "Stage.Play", `^rpc xclient: Stage.Play: attempt 3 at ` + addrs[0] + `: not now$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.xc.Call(Idempotent(t.Context()), c.method, 0, nil)
			var e *geerpc.Error
			if !errors.As(err, &e) || e.ServiceMethod != c.method || !regexp.MustCompile(c.want).MatchString(err.Error()) || strings.Count(err.Error(), c.method) != 1 {
				t.Errorf("%+v, want %s", err, c.want)
			}
		})
	}
}

// TestMessages_Broadcast: the error of each server names it once, whoever made it.
func TestMessages_Broadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start("a")
		xc := w.client(NewMultiServerDiscovery([]string{"tcp@a"}))
		for method, want := range map[string]string{
			"Work.Fail": "tcp@a: ",
			"Work.Wait": "tcp@a: rpc client: Work.Wait: no reply within ",
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			err := xc.BroadcastAll(ctx, method, 1, nil)
			cancel()
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "tcp@a") != 1 {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
}
