package xclient

import (
	"context"
	"strings"
	"testing"

	"geerpc"
)

// TestNilDiscovery: calls say so, whichever kind of nil it is.
func TestNilDiscovery(t *testing.T) {
	for _, d := range []Discovery{nil, (*MultiServersDiscovery)(nil), (*GeeRegistryDiscovery)(nil)} {
		for _, xc := range []*XClient{New(d, Config{}), NewXClient(d, RoundRobinSelect, nil)} {
			for _, call := range []func(context.Context, string, any, any) error{xc.Call, xc.Broadcast, xc.BroadcastAll, xc.Fork} {
				err := call(context.Background(), "Work.Name", 0, nil)
				wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
				if want := "the Discovery is nil"; !strings.HasSuffix(err.Error(), want) {
					t.Errorf("error is %v, want %s", err, want)
				}
			}
			xc.Close()
		}
	}
}

// TestNilInterceptor is left out.
func TestNilInterceptor(t *testing.T) {
	w := newWorld(t)
	calls := 0
	count := func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			calls++
			return next(ctx, serviceMethod, args, reply)
		}
	}
	xc := New(NewMultiServerDiscovery([]string{w.start("a")}), Config{
		Option: &geerpc.Option{Dialer: w.DialContext}, Interceptors: []geerpc.Interceptor{nil, count, nil},
	})
	defer xc.Close()
	if name(t, xc); calls != 1 {
		t.Errorf("intercepted %d times", calls)
	}
}
