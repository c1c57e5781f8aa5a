package xclient

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"geerpc"
)

var badAddresses = []string{"", "10.0.0.1:99", "tcp@", "@10.0.0.1:99"}

// TestBadAddressAlone: calls say what an address looks like, and are not made
// again.
func TestBadAddressAlone(t *testing.T) {
	for _, addr := range badAddresses {
		xc := New(NewMultiServerDiscovery([]string{addr}), Config{})
		err := xc.Call(context.Background(), "Work.Name", 0, nil)
		wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
		if !strings.Contains(err.Error(), "want protocol@host:port, such as tcp@10.0.0.1:9999") {
			t.Error(err)
		}
		xc.Close()
	}
}

// TestBadAddressAmongGoodOnes costs calls neither an attempt nor time; and
// while the good ones are down it is not what calls fail with, for those may
// be back.
func TestBadAddressAmongGoodOnes(t *testing.T) {
	for _, b := range balancers {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			xc := New(NewMultiServerDiscovery([]string{"10.0.0.1:99", "pipe@a", "10.0.0.2:99"}), Config{
				Option: &geerpc.Option{Dialer: w.DialContext}, Balancer: b.Balancer, Retry: Retry{MaxAttempts: 1},
			})
			defer xc.Close()
			for range 100 {
				err := xc.Call(context.Background(), "Work.Name", 0, nil)
				if code := geerpc.CodeOf(err); code != geerpc.CodeUnavailable {
					t.Fatalf("%s: %v, %v", b.name, code, err)
				}
			}
			w.start("a")
			load(xc, 1, maxDialPause*2) // until it is dialled again
			if failures := load(xc, 100, 0); failures != 0 {
				t.Errorf("%s: %d of 100 calls failed", b.name, failures)
			}
		})
	}
}

// TestUpdateRefuses: the list stays what it was.
func TestUpdateRefuses(t *testing.T) {
	for _, d := range []Discovery{NewMultiServerDiscovery(nil), NewGeeRegistryDiscovery("", 0)} {
		d.Update([]string{"tcp@a:1"})
		for _, addr := range badAddresses {
			err := d.Update([]string{"tcp@b:2", addr})
			wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
			if got := all(d); got != "tcp@a:1" {
				t.Error("the list is ", got)
			}
		}
	}
}

// TestDiscoveryWithoutAddress: a Get that has neither an address nor an error.
func TestDiscoveryWithoutAddress(t *testing.T) {
	xc := New(&fourMethods{addrs: []string{""}}, Config{})
	defer xc.Close()
	err := xc.Call(context.Background(), "Work.Name", 0, nil)
	wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
	if want := "the Discovery returned an empty address"; !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
}
