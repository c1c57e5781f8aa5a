package middleware

import (
	"context"
	"math"
	"math/bits"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestG70_ExactToOneToken asks far too often, at odd times, for hours: what has
// passed at any time is what the rate allows, to one token.
func TestG70_ExactToOneToken(t *testing.T) {
	for name, c := range map[string]struct {
		limit *RateLimit
		step  time.Duration
	}{
		"three a second":     {&RateLimit{Calls: 3}, 7_777_777 * time.Nanosecond},
		"seven in an hour":   {&RateLimit{Calls: 7, Per: time.Hour, Burst: 2}, 1_234_567_891 * time.Nanosecond},
		"a million a second": {&RateLimit{Calls: 1_000_003, Burst: 50}, 333 * time.Nanosecond},
		"a quota for a year": {&RateLimit{Calls: 100_003, Per: 365 * 24 * time.Hour}, 99_999_999_999 * time.Nanosecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := c.limit
				begin, passed := time.Now(), int64(0)
				for range 20_000 {
					for l.Admit(t.Context(), "Arith.Add") == nil {
						passed++
					}
					burst, per := int64(max(l.Burst, 0)), max(l.Per, 0)
					if burst == 0 {
						burst = int64(l.Calls)
					}
					if per == 0 {
						per = time.Second
					}
					high, low := bits.Mul64(uint64(time.Since(begin)), uint64(l.Calls))
					came, _ := bits.Div64(high, low, uint64(per))
					if want := burst + int64(came); passed != want {
						t.Fatalf("%d calls passed in %v, want %d", passed, time.Since(begin), want)
					}
					time.Sleep(c.step)
				}
			})
		})
	}
}

// TestG70_AtOnce: of many calls at the same moment exactly Burst pass.
func TestG70_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &RateLimit{Calls: 10, Burst: 37}
		var passed atomic.Int64
		together(1000, func(int) {
			if call(t.Context(), l.Intercept) == nil {
				passed.Add(1)
			}
		})
		if passed.Load() != 37 || l.Refused()["no token left"] != 963 {
			t.Errorf("%d calls passed, refused were %v", passed.Load(), l.Refused())
		}
	})
}

// TestRateLimit_RetryAfter: a nanosecond before the time that the error says
// there is no token, then there is one.
func TestRateLimit_RetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &RateLimit{Calls: 3, Burst: 1}
		for range 100 {
			if err := l.Admit(t.Context(), "Arith.Add"); err != nil {
				t.Fatal(err)
			}
			refuse := func() time.Duration {
				err := l.Admit(t.Context(), "Arith.Add")
				return wantRefusal(t, err, geerpc.CodeResourceExhausted, "rate limit", "no token left").RetryAfter
			}
			time.Sleep(refuse() - 1)
			if rest := refuse(); rest != 1 {
				t.Fatalf("try again in %v, want 1ns", rest)
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

func TestRateLimit_Settings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name  string
			limit *RateLimit
			want  int // calls that pass at once, of 100
		}{
			{"zero", &RateLimit{}, 100},
			{"negative", &RateLimit{Calls: -1}, 100},
			{"no burst", &RateLimit{Calls: 5}, 5},
			{"negative burst and time", &RateLimit{Calls: 5, Burst: -1, Per: -1}, 5},
			{"huge", &RateLimit{Calls: math.MaxInt, Per: math.MaxInt64, Burst: math.MaxInt}, 100},
			{"huge burst", &RateLimit{Calls: 1, Per: math.MaxInt64, Burst: math.MaxInt}, 100},
		} {
			passed := 0
			for range 100 {
				if c.limit.Admit(t.Context(), "Arith.Add") == nil {
					passed++
				}
			}
			if passed != c.want {
				t.Errorf("%s: %d calls pass, want %d", c.name, passed, c.want)
			}
		}
	})
}

// keyOf is a Key that a test puts into the context.
type keyOf struct{}

func testKey(ctx context.Context, _ string) string {
	key, _ := ctx.Value(keyOf{}).(string)
	return key
}

func withKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// TestRateLimit_MaxKeys: full buckets are forgotten first, then the oldest.
func TestRateLimit_MaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &RateLimit{Calls: 1, Key: testKey, MaxKeys: 3}
		ask := func(key string) bool { return l.Admit(withKey(t.Context(), key), "Arith.Add") == nil }
		for _, key := range []string{"a", "b", "c"} {
			if !ask(key) || ask(key) {
				t.Fatalf("%s has no bucket of one token", key)
			}
		}
		if ask("a") { // is the latest now
			t.Error("a has a second token")
		}
		if !ask("d") || ask("a") || ask("c") { // b is forgotten
			t.Error("the wrong one was forgotten")
		}
		if !ask("b") {
			t.Error("b is not forgotten")
		}
		time.Sleep(time.Second)
		if ask("e"); len(l.buckets.entries) > 2 {
			t.Errorf("%d buckets are remembered, though all but one are full", len(l.buckets.entries))
		}
	})
}

// TestG70_MillionKeys: a million keys get their token, cost no more than
// MaxKeys, and are forgotten once nobody uses them.
func TestG70_MillionKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &RateLimit{Calls: 1, Key: testKey, MaxKeys: 1000}
		for i := range 1_000_000 {
			if err := l.Admit(withKey(context.Background(), strconv.Itoa(i)), "Arith.Add"); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(l.buckets.entries); n != 1000 {
			t.Errorf("%d buckets are remembered", n)
		}
		for i := range 1000 {
			time.Sleep(time.Second)
			l.Admit(withKey(context.Background(), "late"+strconv.Itoa(i)), "Arith.Add")
		}
		if n := len(l.buckets.entries); n > 2 {
			t.Errorf("%d buckets are remembered, though all but one are full", n)
		}
	})
}

// TestG72_KeyPanics: a Key that panics fails its own call, and no other.
func TestG72_KeyPanics(t *testing.T) {
	bad := true
	key := func(context.Context, string) string {
		if bad {
			panic("no key")
		}
		return ""
	}
	for name, i := range map[string]geerpc.Interceptor{
		"rate limit":  (&RateLimit{Calls: 1000, Key: key}).Intercept,
		"breaker":     (&Breaker{Key: key}).Intercept,
		"concurrency": (&Concurrency{Limit: 1, Key: key}).Intercept,
		"shed":        (&Shed{Concurrency: &Concurrency{Limit: 1, Key: key}}).Intercept,
	} {
		bad = true
		if p := panics(func() { call(t.Context(), i) }); p != "no key" {
			t.Errorf("%s: panics with %v", name, p)
		}
		bad = false
		if err := call(t.Context(), i); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRateLimit_Allocs(t *testing.T) {
	wantAllocs(t, 0, (&RateLimit{Calls: 1 << 30, Key: ByMethod}).Intercept)
}

func BenchmarkRateLimit(b *testing.B) {
	benchmark(b, (&RateLimit{Calls: 1 << 30, Key: ByMethod}).Intercept)
}
