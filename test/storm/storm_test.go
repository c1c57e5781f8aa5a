// Package storm tries the library for as long as one likes: all transports and
// codecs, both layouts, old peers, calls that fail in every way, servers that
// come and go, and between them a network that cuts, resets, delays, throttles
// and flips bits.
//
//	GEERPC_STORM=1h go test -race -run TestStorm -timeout 0 ./test/storm
package storm

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"geerpc/internal/leak"
)

const (
	defaultDuration = 3 * time.Second
	callers         = 12
	progressEvery   = 10 * time.Second
)

// TestMain counts the goroutines that are left.
func TestMain(m *testing.M) { leak.Main(m) }

// TestStorm counts wrong replies, calls that ran twice or never, calls that
// hang, and goroutines that are left: none of them may be.
func TestStorm(t *testing.T) {
	duration := defaultDuration
	if s := os.Getenv("GEERPC_STORM"); s != "" {
		var err error
		if duration, err = time.ParseDuration(s); err != nil {
			t.Fatal("GEERPC_STORM: ", err)
		}
	}
	l := newLedger()
	storm(t, l, duration)
	line, bad := l.report()
	t.Log(line)
	for _, fault := range bad {
		t.Error(fault)
	}
	if l.replies.Load() == 0 {
		t.Error("nobody has had a reply")
	}
}

// storm returns when nobody makes calls any more.
func storm(t *testing.T, l *ledger, duration time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	server, client, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{config: client, ledger: l}
	for _, transport := range []string{"tcp", "unix", "tls", "http"} {
		c.stages = append(c.stages, newStage(t, transport, server, l))
	}
	if c.old, err = newOldServer(l); err != nil {
		t.Fatal(err)
	}
	defer c.old.close()
	var stages, calling sync.WaitGroup
	calm, stop := context.WithCancel(context.Background()) // later than ctx: callers leave first
	for _, s := range c.stages {
		stages.Go(func() { s.weather(calm) })
	}
	for range callers {
		calling.Go(func() { c.run(ctx) })
	}
	stages.Go(func() { progress(calm, l, duration) })
	calling.Wait()
	stop()
	stages.Wait()
}

// progress sweeps the ledger and, in a long storm, says how it goes.
func progress(ctx context.Context, l *ledger, duration time.Duration) {
	begun := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			l.sweep(now)
			line, bad := l.report()
			fmt.Fprintf(os.Stderr, "storm, %v of %v: %s; %d goroutines\n", now.Sub(begun).Round(time.Second), duration, line, runtime.NumGoroutine())
			for _, fault := range bad {
				fmt.Fprintln(os.Stderr, "\t"+fault)
			}
		}
	}
}
