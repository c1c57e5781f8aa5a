package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/latency"
)

var benchCommand = &command{
	name: "bench", args: "ADDR Service.Method [JSON]", about: "call a method many times, and measure how long the calls take",
	help: `Without -rate each of the -c callers makes one call after the other. When the server
stalls, the callers wait, and the calls that they would have made are missing in the
percentiles.

With -rate each call has a time at which it is due, and its latency counts from then. If
all callers are busy, it is sent late, and the delay is part of its latency.

Percentiles are those of calls that succeeded, to 1.6 %. The calls use JSON. One call is
made before the others, to find mistakes, and is not counted. The arguments are those of
geerpc call, except -.`,
	min: 2, max: 3, define: defineBench,
}

// scale is that of all histograms: its buckets are a 64th of the latency wide.
var scale = latency.Scale{Bits: 6}

// A benchmark makes calls, and counts them.
type benchmark struct {
	caller
	callers, conns int
	duration       time.Duration
	rate           float64 // calls per second; 0: as many as there can be
	body           json.RawMessage

	begin   time.Time
	next    atomic.Int64 // with a rate: the number of the next call
	workers []*worker
}

// A worker makes one call at a time.
type worker struct {
	caller

	mu    sync.Mutex // guards tally
	tally tally
}

func defineBench(set *flag.FlagSet) action {
	b := &benchmark{caller: caller{target: targetFlags(set), metadata: make(pairs)}}
	set.Var(b.metadata, "H", "`key=value`, metadata that goes with each call; may be repeated")
	set.IntVar(&b.callers, "c", 16, "the number of `callers`, each with one call at a time")
	set.IntVar(&b.conns, "conns", 1, "the number of `connections` that they share; through a registry: for each server")
	set.DurationVar(&b.duration, "d", 10*time.Second, "the `time` for which calls are made")
	set.Float64Var(&b.rate, "rate", 0, "`calls` per second; 0: as many as the callers can make")
	quiet := set.Bool("q", false, "print no progress")
	asJSON := jsonFlag(set, "print the results in JSON")
	return func(ctx context.Context, std stdio, args []string) error {
		if b.callers < 1 || b.conns < 1 || b.duration <= 0 || b.rate < 0 || math.IsInf(b.rate, 0) || math.IsNaN(b.rate) {
			return usagef("-c, -conns and -d must be positive, and -rate not negative")
		}
		b.fields.asJSON = *asJSON
		closeConns, err := b.connect(ctx, std, args)
		if err != nil {
			return err
		}
		defer closeConns()
		progress := std.log
		if *quiet {
			progress = io.Discard
		}
		r := newResult(b, b.run(ctx, progress))
		if *asJSON {
			err = json.NewEncoder(std.out).Encode(r)
		} else {
			err = r.show(std.out)
		}
		return errors.Join(err, r.failure(ctx))
	}
}

// connect connects all workers, and makes the first call.
func (b *benchmark) connect(ctx context.Context, std stdio, args []string) (closeAll func(), err error) {
	if b.body, err = b.parse(args, std.in); err != nil {
		return nil, err
	}
	var callers []geerpc.Caller
	var closers []func()
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	for range b.conns {
		c, closeCaller, err := b.newCaller(ctx, b.service)
		if err != nil {
			closeAll()
			return nil, err
		}
		callers, closers = append(callers, c), append(closers, closeCaller)
	}
	for i := range b.callers {
		w := &worker{caller: b.caller, tally: newTally()}
		w.Caller = callers[i%b.conns]
		b.workers = append(b.workers, w)
	}
	_, err = b.workers[0].call(ctx, b.body)
	b.fields.check(ctx, &b.caller, std.log, b.body, err)
	if err != nil {
		closeAll()
		return nil, b.explainCall(ctx, b.serviceMethod, fmt.Errorf("the first call failed, nothing was measured: %w", err))
	}
	return closeAll, nil
}

// run makes the calls, and returns the sum of what the workers have counted.
func (b *benchmark) run(ctx context.Context, progress io.Writer) tally {
	b.begin = time.Now()
	var wg sync.WaitGroup
	for _, w := range b.workers {
		wg.Go(func() { w.work(ctx, b) }) // ends when the time is up; wg.Wait waits
	}
	done := make(chan struct{})
	var reporting sync.WaitGroup
	reporting.Go(func() { b.showProgress(progress, done) }) // ends with done
	wg.Wait()
	close(done)
	reporting.Wait()
	total := b.sum()
	total.elapsed = time.Since(b.begin)
	return total
}

// sum returns what the workers have counted so far.
func (b *benchmark) sum() tally {
	total := newTally()
	for _, w := range b.workers {
		w.mu.Lock()
		total.merge(&w.tally)
		w.mu.Unlock()
	}
	return total
}

// work makes calls until the time is up, the connection is lost, or ctx ends.
func (w *worker) work(ctx context.Context, b *benchmark) {
	pause := time.NewTimer(time.Hour)
	defer pause.Stop()
	for {
		begin := time.Now()
		if b.rate > 0 {
			begin = b.due(b.next.Add(1) - 1)
		}
		if end := b.begin.Add(b.duration); !begin.Before(end) || !time.Now().Before(end) || !sleepUntil(ctx, pause, begin) {
			return
		}
		_, err := w.call(ctx, b.body)
		if ctx.Err() != nil {
			return // the call was cut off
		}
		w.mu.Lock()
		w.tally.add(time.Since(begin), err)
		w.mu.Unlock()
		if errors.Is(err, geerpc.ErrShutdown) {
			return
		}
	}
}

// due returns the time of a call, with a rate.
func (b *benchmark) due(number int64) time.Time {
	return b.begin.Add(time.Duration(float64(number) / b.rate * float64(time.Second)))
}

// sleepUntil returns at a time, or false if ctx ends before.
func sleepUntil(ctx context.Context, timer *time.Timer, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// showProgress writes a line each second.
func (b *benchmark) showProgress(w io.Writer, done <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for last := newTally(); ; {
		select {
		case <-ticker.C:
		case <-done:
			return
		}
		now := b.sum()
		fmt.Fprintf(w, "%4.0f s  %s calls/s  p50 %s  p99 %s  failed %d\n", time.Since(b.begin).Seconds(),
			grouped(now.calls-last.calls), short(now.since(&last).Quantile(0.5)), short(now.since(&last).Quantile(0.99)), now.failed()-last.failed())
		last = now
	}
}
