package middleware

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// taking returns a CallFunc that takes a while, or as long as its context allows.
func taking(took time.Duration) geerpc.CallFunc {
	return func(ctx context.Context, _ string, _, _ any) error {
		select {
		case <-time.After(took):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// within makes a call that has so much time.
func within(t *testing.T, f geerpc.CallFunc, left time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), left)
	defer cancel()
	return f(ctx, "Arith.Add", nil, nil)
}

func TestShed_Expired(t *testing.T) {
	s := &Shed{}
	err := within(t, s.Intercept(works), 0)
	wantRefusal(t, err, geerpc.CodeDeadlineExceeded, "shed", "expired")
	if s.Refused()["expired"] != 1 {
		t.Errorf("refused were %v", s.Refused())
	}
}

// TestShed_TooLittleTime: a call needs the time that the method's faster calls take.
func TestShed_TooLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shed{}
		f := s.Intercept(taking(100 * time.Millisecond))
		for range leastTimes {
			if err := within(t, f, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		err := within(t, f, 99*time.Millisecond)
		wantRefusal(t, err, geerpc.CodeResourceExhausted, "shed", "too little time left")
		if err := within(t, f, 101*time.Millisecond); err != nil {
			t.Error(err)
		}
		if err := f(t.Context(), "Arith.Add", nil, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestShed_LowQuantile: what a tenth of the calls is faster than, wherever it
// begins, and although calls that time out say only that they take longer.
func TestShed_LowQuantile(t *testing.T) {
	for _, first := range []time.Duration{time.Millisecond, time.Minute} {
		m := methodTime{}
		for range leastTimes {
			m.observe(0, first, answered)
		}
		for i := range 100_000 {
			took := time.Duration(i*7919%1000) * time.Millisecond // evenly up to a second
			if took > 500*time.Millisecond {
				m.observe(0, took, overloaded)
			} else {
				m.observe(0, took, answered)
			}
		}
		if m.takes < 60*time.Millisecond || m.takes > 150*time.Millisecond {
			t.Errorf("from %v it comes to %v, want about 100ms", first, m.takes)
		}
	}
}

// TestShed_OneTries: where all calls have too little time, one a second passes,
// Admit and Intercept alike, and finds out that the method has become faster.
func TestShed_OneTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shed{}
		for range leastTimes {
			within(t, s.Intercept(taking(100*time.Millisecond)), time.Second)
		}
		time.Sleep(retryShed)
		var ran atomic.Int64
		f := s.Intercept(func(ctx context.Context, serviceMethod string, args, reply any) error {
			ran.Add(1)
			return taking(100*time.Millisecond)(ctx, serviceMethod, args, reply)
		})
		for range 3 {
			ran.Store(0)
			together(1000, func(i int) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond*50+time.Duration(i))
				defer cancel()
				if s.Admit(ctx, "Arith.Add") == nil {
					f(ctx, "Arith.Add", nil, nil)
				}
			})
			if ran.Load() != 1 {
				t.Errorf("%d calls were let through", ran.Load())
			}
			time.Sleep(retryShed)
		}
		faster := s.Intercept(taking(10 * time.Millisecond))
		for i := range 10 {
			if err := within(t, faster, 50*time.Millisecond); err != nil {
				t.Errorf("call %d of the faster method: %v", i, err)
			}
		}
	})
}

// A SlowParcel is an argument that takes a moment to be decoded.
type SlowParcel struct{ Weight int }

// GobEncode implements gob.GobEncoder.
func (p SlowParcel) GobEncode() ([]byte, error) { return []byte{byte(p.Weight)}, nil }

// GobDecode implements gob.GobDecoder.
func (p *SlowParcel) GobDecode(data []byte) error {
	time.Sleep(time.Microsecond)
	p.Weight = int(data[0])
	return nil
}

// TestShed_TryOnAServer: the call that tries whether a method has become faster passes
// Admit and Intercept of a real server, where time goes by between the two and a Timeout
// may set another deadline. It is one call: others are refused by Admit.
func TestShed_TryOnAServer(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"the deadline of Admit": 0, "an earlier one": 40 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shed := &Shed{Concurrency: &Concurrency{Limit: 10}}
				for range leastTimes {
					within(t, shed.Intercept(taking(100*time.Millisecond)), time.Second)
				}
				time.Sleep(retryShed)
				server := geerpc.NewServer()
				server.Admit = append(server.Admit, shed.Admit)
				server.Interceptors = []geerpc.Interceptor{(&Timeout{Max: timeout}).Intercept, shed.Intercept}
				var ran atomic.Int64
				err := geerpc.RegisterFunc(server, "Arith.Add", func(context.Context, SlowParcel) (int, error) {
					ran.Add(1)
					time.Sleep(10 * time.Millisecond)
					return 0, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				client := dialServer(t, server)
				together(20, func(int) {
					ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
					defer cancel()
					client.Call(ctx, "Arith.Add", SlowParcel{3}, new(int))
				})
				if n := ran.Load(); n != 1 {
					t.Errorf("%d calls were let through, want 1", n)
				}
			})
		})
	}
}

// TestShed_Burst: a queue that goes away by itself costs no call.
func TestShed_Burst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shed{Concurrency: &Concurrency{Limit: 2}}
		f := s.Intercept(taking(time.Millisecond))
		for range 10 {
			together(180, func(int) {
				if err := within(t, f, time.Second); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(DefaultShedInterval)
		}
	})
}

// TestShed_StandingQueue: at twice the capacity no call waits longer than twice the
// target, but for the moment in which that shows, and no slot is ever free.
func TestShed_StandingQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shed{Concurrency: &Concurrency{Limit: 10}}
		var good, late atomic.Int64
		begin := time.Now()
		for range 20_000 { // ten seconds, of a thousand calls each
			go func() {
				came, waited := time.Now(), time.Duration(0)
				err := s.Intercept(func(context.Context, string, any, any) error {
					waited = time.Since(came)
					time.Sleep(10 * time.Millisecond)
					return nil
				})(t.Context(), "Arith.Add", nil, nil)
				if err == nil {
					good.Add(1)
				}
				if waited > 2*DefaultShedTarget && time.Since(begin) > time.Second {
					late.Add(1)
				}
			}()
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(time.Second)
		if late.Load() > 0 || good.Load() < 9_900 {
			t.Errorf("%d calls waited for too long, %d of 10,000 possible ones were answered", late.Load(), good.Load())
		}
		if n := s.Refused()["queueing delay"]; n < 9_000 {
			t.Errorf("%d calls were refused for the delay, %v for others", n, s.Concurrency.Refused())
		}
		wantSlots(t, s.Concurrency, 0)
	})
}

// TestShed_QueueThatEnded: a queue that stood long ago says nothing about the next.
func TestShed_QueueThatEnded(t *testing.T) {
	var d queueDelay
	const ms = time.Millisecond
	for _, c := range []struct {
		at, waited time.Duration
		want       bool
	}{
		{1000 * ms, 20 * ms, false},
		{1050 * ms, 6 * ms, false},
		{1101 * ms, 20 * ms, true}, // an interval above the target
		{1150 * ms, 5 * ms, true},
		{1202 * ms, 20 * ms, false}, // one with a call that waited no longer
		{1303 * ms, 20 * ms, true},
		{1600 * ms, 20 * ms, false}, // nobody waited for a whole interval
	} {
		if got := d.note(c.at, c.waited, 5*ms, 100*ms); got != c.want {
			t.Errorf("at %v: %v", c.at, got)
		}
	}
}

// TestShed_NoQueue: where no call may wait, the Concurrency refuses.
func TestShed_NoQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Shed{Queue: -1, Concurrency: &Concurrency{Limit: 1}}
		free := hold(t, s.Concurrency)
		wantRefusal(t, call(t.Context(), s.Intercept), geerpc.CodeResourceExhausted, "concurrency", "all slots are taken")
		free()
		if p := panics(func() {
			s.Intercept(func(context.Context, string, any, any) error { panic("no call") })(t.Context(), "", nil, nil)
		}); p != "no call" {
			t.Error(p)
		}
		if err := call(t.Context(), s.Intercept); err != nil {
			t.Error(err)
		}
	})
}

func TestShed_Allocs(t *testing.T) {
	wantAllocs(t, 0, (&Shed{}).Intercept)
	wantAllocs(t, 1, (&Shed{Concurrency: &Concurrency{}}).Intercept)
}

func BenchmarkShed(b *testing.B) {
	b.Run("time", func(b *testing.B) { benchmark(b, (&Shed{}).Intercept) })
	b.Run("queue", func(b *testing.B) { benchmark(b, (&Shed{Concurrency: &Concurrency{Limit: 1000}}).Intercept) })
}
