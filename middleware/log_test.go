package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// takes is a CallFunc that takes time.
func takes(d time.Duration) geerpc.CallFunc {
	return func(context.Context, string, any, any) error {
		time.Sleep(d) // in a test's bubble
		return nil
	}
}

func TestLog_Attributes(t *testing.T) {
	var client, server lines
	calls := &Log{Logger: slog.New(&client)}
	served := &Log{Logger: slog.New(&server)}
	fail := geerpc.Errorf(geerpc.CodeNotFound, "nobody of that name")
	c := dialEcho(t, Echo{fail}, []geerpc.Interceptor{served.Server}, calls.Client)

	var reply string
	err := c.Call(t.Context(), "Echo.Say", "secret", &reply)
	if err == nil {
		t.Fatal("no error")
	}
	l := client.takeOne(t)
	if l.text != "rpc client: call" || l.level != slog.LevelInfo {
		t.Errorf("%v %q", l.level, l.text)
	}
	took, _ := l.attrs["duration"].(time.Duration)
	if took <= 0 {
		t.Errorf("duration %v", l.attrs["duration"])
	}
	delete(l.attrs, "duration")
	want := map[string]any{"method": "Echo.Say", "code": "not found", "err": textOnly{err}, "where": "in the method", "ran": "yes"}
	if !maps.Equal(l.attrs, want) {
		t.Errorf("client: %v, want %v", l.attrs, want)
	}

	l = server.takeOne(t)
	if l.text != "rpc server: call" {
		t.Errorf("server: %q", l.text)
	}
	if keys := slices.Sorted(maps.Keys(l.attrs)); !slices.Equal(keys, strings.Fields("code duration err method peer ran where")) {
		t.Errorf("server: attributes %v", keys)
	}
	if s := fmt.Sprint(l.attrs["peer"]); s == "" || s == "<nil>" {
		t.Errorf("peer %q", s)
	}
}

func TestAddrText(t *testing.T) {
	for _, addr := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}, // 16 bytes
		&net.TCPAddr{IP: net.IP{192, 0, 2, 1}, Port: 65535},
		&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 80},
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 80},
		&net.TCPAddr{Port: 80},
		&net.UnixAddr{Name: "/run/x", Net: "unix"},
	} {
		if got := addrText(addr); got != addr.String() {
			t.Errorf("%q, want %q", got, addr)
		}
	}
}

// TestLog_UnknownMethod holds that a log has no method names that a peer made up.
func TestLog_UnknownMethod(t *testing.T) {
	var server lines
	served := &Log{Logger: slog.New(&server)}
	c := dialEcho(t, Echo{}, []geerpc.Interceptor{served.Server})
	c.Call(t.Context(), "Echo."+strings.Repeat("x", 1<<20), "", nil)
	if l := server.takeOne(t); l.attrs["method"] != geerpc.UnknownMethod || len(fmt.Sprint(l.attrs)) > 1000 {
		t.Errorf("%.2000v", l.attrs)
	}
}

func TestLog_Levels(t *testing.T) {
	want := map[slog.Level]string{
		slog.LevelInfo: "ok, canceled, invalid argument, not found, already exists, unauthenticated",
		slog.LevelWarn: "deadline exceeded, permission denied, resource exhausted, failed precondition, aborted, " +
			"out of range, unavailable",
		slog.LevelError: "unknown, unimplemented, internal, data loss",
	}
	got := make(map[slog.Level][]string)
	for code := geerpc.CodeOK; code <= geerpc.CodeUnauthenticated; code++ {
		var h lines
		var err error
		if code != geerpc.CodeOK {
			err = geerpc.Errorf(code, "no")
		}
		(&Log{Logger: slog.New(&h)}).Client(ended(err))(t.Context(), "A.B", nil, nil)
		l := h.takeOne(t)
		got[l.level] = append(got[l.level], code.String())
	}
	for level, codes := range want {
		if s := strings.ReplaceAll(codes, ", ", ","); s != strings.Join(sortedLike(got[level], codes), ",") {
			t.Errorf("%v: %v, want %v", level, got[level], codes)
		}
	}
	var h lines
	own := &Log{Logger: slog.New(&h), Level: func(geerpc.Code) slog.Level { return slog.LevelDebug }}
	own.Client(ended(io.EOF))(t.Context(), "A.B", nil, nil)
	if n := len(h.take()); n != 0 {
		t.Errorf("%d lines below the logger's level", n)
	}
}

// sortedLike returns the names in the order in which they are in a text.
func sortedLike(names []string, text string) []string {
	slices.SortFunc(names, func(a, b string) int { return strings.Index(text, a) - strings.Index(text, b) })
	return names
}

func TestLog_PlainErrors(t *testing.T) {
	var h lines
	calls := &Log{Logger: slog.New(&h)}
	calls.Client(ended(io.EOF))(t.Context(), "A.B", nil, nil)
	l := h.takeOne(t)
	delete(l.attrs, "duration")
	if want := map[string]any{"method": "A.B", "code": "unknown", "err": io.EOF}; !maps.Equal(l.attrs, want) {
		t.Errorf("%v, want %v", l.attrs, want)
	}
}

func TestLog_Sampling(t *testing.T) {
	for _, c := range []struct {
		name string
		log  *Log
		err  error
		want []int // lines, of 100 calls in each second
	}{
		{"default", &Log{}, nil, []int{10, 10, 10}},
		{"3 a second", &Log{Successes: 3}, nil, []int{3, 3, 3}},
		{"all", &Log{Successes: -1}, nil, []int{100, 100, 100}},
		{"none", &Log{Every: -1, Successes: -1}, nil, []int{0, 0, 0}},
		{"each 30th", &Log{Every: 30, Successes: -1}, nil, []int{3, 3, 4}},
		{"each 30th, 3 a second", &Log{Every: 30, Successes: 3}, nil, []int{3, 3, 3}},
		{"failures", &Log{Every: -1}, io.EOF, []int{100, 100, 100}},
		{"7 failures a second", &Log{Failures: 7}, io.EOF, []int{7, 7, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h lines
				c.log.Logger = slog.New(&h)
				f := c.log.Client(ended(c.err))
				lines, left := 0, 0
				for _, want := range c.want {
					for range 100 {
						f(t.Context(), "A.B", nil, nil)
					}
					got := h.take()
					if len(got) != want {
						t.Errorf("%d lines, want %d", len(got), want)
					}
					for _, l := range got {
						n, _ := l.attrs["skipped"].(uint64)
						left += int(n)
					}
					lines += len(got)
					time.Sleep(time.Second)
				}
				if left += int(c.log.skipped.Load()); lines+left != 100*len(c.want) {
					t.Errorf("%d lines, %d skipped", lines, left)
				}
			})
		})
	}
}

// TestLog_AtOnce holds that a limit is exact under any number of calls at once.
func TestLog_AtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h lines
		calls := &Log{Logger: slog.New(&h), Failures: 100}
		f := calls.Client(ended(io.EOF))
		var running sync.WaitGroup
		for range 128 {
			running.Go(func() {
				for range 50 {
					f(t.Context(), "A.B", nil, nil)
				}
			})
		}
		running.Wait()
		if n := len(h.take()); n != 100 {
			t.Errorf("%d lines, want 100", n)
		}
	})
}

func TestLog_Slow(t *testing.T) {
	for _, c := range []struct {
		slow, takes time.Duration
		lines       int
	}{
		{0, time.Second, 1},
		{0, time.Second - 1, 0},
		{time.Millisecond, time.Millisecond, 1},
		{-1, time.Hour, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var h lines
			calls := &Log{Logger: slog.New(&h), Every: -1, Slow: c.slow}
			calls.Client(takes(c.takes))(t.Context(), "A.B", nil, nil)
			got := h.take()
			if len(got) != c.lines {
				t.Fatalf("%d lines, want %d: slow is %v, a call takes %v", len(got), c.lines, c.slow, c.takes)
			}
			if c.lines > 0 && (got[0].level != slog.LevelWarn || got[0].attrs["duration"] != c.takes) {
				t.Errorf("%v %v", got[0].level, got[0].attrs)
			}
		})
	}
}

func TestLog_Payloads(t *testing.T) {
	var h lines
	calls := &Log{Logger: slog.New(&h), Payloads: true}
	c := dialEcho(t, Echo{}, nil, calls.Client)
	var reply string
	if err := c.Call(t.Context(), "Echo.Say", "hello", &reply); err != nil {
		t.Fatal(err)
	}
	if l := h.takeOne(t); l.attrs["args"] != "hello" || l.attrs["reply"] != &reply {
		t.Errorf("%v", l.attrs)
	}
	c.Call(t.Context(), "Echo.Nothing", "hello", &reply)
	if l := h.takeOne(t); l.attrs["args"] != "hello" || l.attrs["reply"] != nil {
		t.Errorf("%v", l.attrs)
	}
}

// TestLog_Panics holds that a call which panics, or ends its goroutine, has a line.
func TestLog_Panics(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("oh") }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var h lines
			calls := &Log{Logger: slog.New(&h)}
			f := calls.Client(func(context.Context, string, any, any) error { end(); return nil })
			done := make(chan any)
			go func() { // ends at once
				defer close(done)
				defer func() { recover() }()
				f(t.Context(), "A.B", nil, nil)
			}()
			<-done
			if l := h.takeOne(t); l.level != slog.LevelError || l.attrs["code"] != "internal" {
				t.Errorf("%v", l)
			}
		})
	}
}

func TestLog_Refusal(t *testing.T) {
	var h lines
	calls := &Log{Logger: slog.New(&h)}
	refusal := Refusal{By: "shed", Reason: "too late"}.refused(geerpc.CodeResourceExhausted)
	calls.Client(ended(refusal))(t.Context(), "A.B", nil, nil)
	l := h.takeOne(t)
	if err, _ := l.attrs["err"].(error); !errors.Is(err, refusal) || l.attrs["ran"] != "never" || l.level != slog.LevelWarn {
		t.Errorf("%v", l)
	}
}

// quiet is a Logger that writes lines to nowhere.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func BenchmarkLog(b *testing.B) {
	for _, c := range []struct {
		name string
		log  *Log
	}{
		{"sampled", &Log{}},
		{"written", &Log{Successes: -1}},
	} {
		c.log.Logger = quiet()
		f := c.log.Client(ended(nil))
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f(b.Context(), "Arith.Add", nil, nil)
			}
		})
		b.Run(c.name+"/many", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(64)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f(b.Context(), "Arith.Add", nil, nil)
				}
			})
		})
	}
}
