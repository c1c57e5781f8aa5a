package xclient

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"
	"testing"
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
		if want := `^rpc xclient: attempt 3: 3 servers tried, the last: rpc client: dial tcp [abc]:1: nobody there$`; !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Error(err)
		}
	}
	d.Update([]string{"tcp@a:1"})
	if err := xc.Call(t.Context(), "Work.Name", 1, nil); err == nil || err.Error() != "rpc xclient: attempt 3: rpc client: dial tcp a:1: nobody there" {
		t.Errorf("of one server: %v", err)
	}
}

// TestMessages_Broadcast: the error of each server names it once, whoever made it.
func TestMessages_Broadcast(t *testing.T) {
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
}
