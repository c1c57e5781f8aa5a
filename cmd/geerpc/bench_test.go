package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

func TestBench(t *testing.T) {
	addr := serve(t, nil, nil)
	o := geerpcRun(t, "bench", addr, "Arith.Add", `{"A":1}`, "-d", "1200ms", "-c", "3", "-conns", "2")
	for _, want := range []string{"Arith.Add  callers: 3, connections: 2", "failed   0", "p99.99", "histogram", "█"} {
		o.want(t, 0, want, "calls/s")
	}
	var r struct {
		Calls     int64
		Failed    int64
		Latency   map[string]int64 `json:"latency_ns"`
		Histogram []bar
	}
	o = geerpcRun(t, "bench", addr, "Arith.Add", "-d", "300ms", "-rate", "100", "-json", "-q")
	o.decode(t, &r)
	sum := int64(0)
	for _, b := range r.Histogram {
		sum += b.Calls
	}
	if o.log != "" || r.Calls < 1 || r.Calls > 30 || sum != r.Calls-r.Failed || r.Latency["p50"] <= 0 || r.Latency["p99.99"] > r.Latency["max"] {
		t.Errorf("%+v; log:\n%s", r, o.log)
	}
}

// TestBench_FirstCall: one that fails ends the benchmark, which says that it has not begun.
func TestBench_FirstCall(t *testing.T) {
	o := geerpcRun(t, "bench", serve(t, nil, nil), "Arith.Div")
	if o.want(t, exitMethod, "", "the first call failed, nothing was measured: division by zero"); o.out != "" {
		t.Errorf("the output is %q", o.out)
	}
}

func TestBench_Failures(t *testing.T) {
	addr := serve(t, nil, nil)
	geerpcRun(t, "bench", addr, "Arith.Ad").want(t, exitBadCall, "", "did you mean Arith.Add?")
	geerpcRun(t, "bench", addr, "Arith.Add", "-c", "0").want(t, exitUsage, "", "positive")
	geerpcRun(t, "bench", nobody(t), "Arith.Add").want(t, exitUnavailable, "", "is the server running")

	calls := 0 // by one caller
	flaky := &geerpc.Server{Interceptors: []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			if calls++; calls > 5 {
				return geerpc.Errorf(geerpc.CodeResourceExhausted, "no more")
			}
			return next(ctx, serviceMethod, args, reply)
		}
	}}, Ordered: true}
	o := geerpcRun(t, "bench", serve(t, flaky, nil), "Arith.Add", "-d", "100ms", "-c", "1", "-q")
	o.want(t, exitUnavailable, "× resource exhausted, such as: no more", "calls failed")
}

// TestBench_Interrupted: what has been measured is not lost.
func TestBench_Interrupted(t *testing.T) {
	cmd := process(t, "bench", serve(t, nil, nil), "Arith.Add", "-d", "1h", "-c", "1")
	var out bytes.Buffer
	cmd.Stdout = &out
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log.Read(make([]byte, 1)) // of the first line, after a second
	cmd.Process.Signal(os.Interrupt)
	go func() { // ends with the process
		for buf := make([]byte, 512); ; {
			if _, err := log.Read(buf); err != nil {
				return
			}
		}
	}()
	cmd.Wait()
	if cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(out.String(), "p99.9") {
		t.Errorf("exit code %d, output:\n%s", cmd.ProcessState.ExitCode(), &out)
	}
}

// A slowServer is a Caller that takes a second for each call.
type slowServer struct{ calls []time.Time }

func (s *slowServer) Call(context.Context, string, any, any) error {
	s.calls = append(s.calls, time.Now())
	time.Sleep(time.Second)
	return nil
}

// TestBench_Rate: with a rate, the time that a call has waited for its turn counts. One
// caller with ten calls a second, each of which takes one, gets further behind with each.
func TestBench_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := new(slowServer)
		b := &benchmark{caller: caller{target: new(target)}, callers: 1, rate: 10, duration: 5 * time.Second}
		w := &worker{caller: b.caller, tally: newTally()}
		w.Caller = server
		b.workers = []*worker{w}
		var progress bytes.Buffer
		r := newResult(b, b.run(t.Context(), &progress))
		// The calls are due at 0, 0.1, … 0.4 s, and are made at 0, 1, … 4 s.
		if len(server.calls) != 5 || r.Calls != 5 || r.NotSent != 45 {
			t.Errorf("%d calls, %+v", len(server.calls), r)
		}
		if w.tally.min != time.Second || w.tally.max != 4600*time.Millisecond {
			t.Errorf("latencies from %v to %v", w.tally.min, w.tally.max)
		}
		if n := strings.Count(progress.String(), "calls/s"); n < 4 || n > 5 {
			t.Errorf("the progress is\n%s", &progress)
		}
	})
}

// TestBench_ConnectionLost: the benchmark ends, and does not count calls that could not
// be made by the million.
func TestBench_ConnectionLost(t *testing.T) {
	b := &benchmark{caller: caller{target: new(target)}, duration: time.Hour}
	for range 2 {
		w := &worker{caller: b.caller, tally: newTally()}
		w.Caller = lost{}
		b.workers = append(b.workers, w)
	}
	r := newResult(b, b.run(t.Context(), new(bytes.Buffer)))
	if r.Calls != 2 || r.Failed != 2 || exitCode(r.failure(t.Context())) != exitUnavailable {
		t.Errorf("%+v", r)
	}
}

type lost struct{}

func (lost) Call(context.Context, string, any, any) error {
	return fmt.Errorf("lost: %w", geerpc.ErrShutdown)
}

func TestTally(t *testing.T) {
	a, b := newTally(), newTally()
	a.add(time.Millisecond, nil)
	b.add(3*time.Millisecond, nil)
	b.add(0, geerpc.Errorf(geerpc.CodeAborted, "first"))
	b.add(0, geerpc.Errorf(geerpc.CodeAborted, "second"))
	b.add(0, errors.New("other"))
	a.merge(&b)
	if a.calls != 5 || a.failed() != 3 || a.min != time.Millisecond || a.max != 3*time.Millisecond || a.sum != 4*time.Millisecond ||
		a.failures[geerpc.CodeAborted].count != 2 || a.failures[geerpc.CodeAborted].first.Error() != "first" {
		t.Errorf("%+v", a)
	}
	if got := a.since(&b).Count(); got != 1 {
		t.Errorf("since: %d", got)
	}
}

func TestBars(t *testing.T) {
	h := newTally().latencies
	for _, d := range []time.Duration{1500, 1900, 7000, 7 * time.Second, 2 * time.Hour} {
		h.Add(d)
	}
	list := bars(h)
	sum := int64(0)
	for i, b := range list {
		sum += b.Calls
		if i > 0 && b.From != list[i-1].To {
			t.Errorf("a gap before %v", b)
		}
	}
	if sum != 5 || list[0] != (bar{1000, 2000, 2}) || list[len(list)-1].Calls == 0 {
		t.Errorf("%v", list)
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 999: "999ns", 1234: "1.23µs", 1234567: "1.23ms", 98765 * time.Millisecond: "1m38.8s"} {
		if got := short(d); got != want {
			t.Errorf("%v is %s, want %s", int64(d), got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", math.MaxInt64: "9,223,372,036,854,775,807"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
