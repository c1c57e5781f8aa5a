package middleware

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// wantRefusal checks that an error is a refusal by a middleware, for a reason,
// of a call that never ran, and returns it.
func wantRefusal(t testing.TB, err error, code geerpc.Code, by, reason string) *Refusal {
	t.Helper()
	var e *geerpc.Error
	var r *Refusal
	if !errors.As(err, &e) || !errors.As(err, &r) {
		t.Fatalf("%v (%T) is no refusal", err, err)
	}
	if e.Code != code || e.Ran != geerpc.RanNever {
		t.Fatalf("%v, ran %v; want %v, ran never: %v", e.Code, e.Ran, code, err)
	}
	if r.By != by || r.Reason != reason {
		t.Fatalf("refused by %q: %q; want %q: %q", r.By, r.Reason, by, reason)
	}
	return r
}

func TestRefusal(t *testing.T) {
	r := Refusal{By: "rate limit", Reason: "no token left", RetryAfter: 20 * time.Millisecond}
	err := r.refused(geerpc.CodeResourceExhausted)
	wantRefusal(t, err, geerpc.CodeResourceExhausted, "rate limit", "no token left")
	if want := "rpc: refused by rate limit: no token left; try again in 20ms"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	var e *geerpc.Error
	if errors.As(err, &e); e.Where != geerpc.InClient {
		t.Errorf("refused %v", e.Where)
	}
}

func BenchmarkRefusal(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Refusal{By: "concurrency", Reason: "all slots are taken"}.refused(geerpc.CodeResourceExhausted)
	}
}

// TestNow holds that times are positive, and go forward in a bubble.
func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := now()
		time.Sleep(time.Second)
		if passed := now() - first; first <= 0 || passed != time.Second {
			t.Errorf("now is %v, and %v later", first, passed)
		}
	})
}
