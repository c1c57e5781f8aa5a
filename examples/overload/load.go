package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
)

// deadline is how long a caller waits for an answer.
const deadline = 100 * time.Millisecond

// measureCapacity returns how many calls a second a server answers when some
// callers make one after the other: enough to keep it busy, and no more.
func measureCapacity(length time.Duration) (float64, error) {
	s, err := startService()
	if err != nil {
		return 0, err
	}
	defer s.close()
	var answered atomic.Int64
	var failure error
	var once sync.Once
	var callers sync.WaitGroup
	begin := time.Now()
	for i := range 4 * workers {
		callers.Go(func() {
			for time.Since(begin) < length {
				var done bool
				if err := s.clients[i%connections].Call(context.Background(), "Resource.Use", 0, &done); err != nil {
					once.Do(func() { failure = err })
					return
				}
				answered.Add(1)
			}
		})
	}
	callers.Wait()
	return float64(answered.Load()) / time.Since(begin).Seconds(), failure
}

// slice is the time for which calls are counted together, for the picture.
const slice = 200 * time.Millisecond

// An outcome is what became of the calls under one protection.
type outcome struct {
	protection

	mu      sync.Mutex // guards what follows
	good    []int      // calls answered in time, by the slice in which they arrived
	waited  []time.Duration
	refused int
	late    int
}

// overload has calls arrive at a rate for a while, and returns when the last one
// has ended.
func overload(p protection, rate float64, length time.Duration, out io.Writer) (*outcome, error) {
	var interceptors []geerpc.Interceptor
	if p.intercept != nil {
		interceptors = append(interceptors, p.intercept)
	}
	s, err := startService(interceptors...)
	if err != nil {
		return nil, err
	}
	defer s.close()
	o := &outcome{protection: p, good: make([]int, (length+slice-1)/slice)}
	var calls sync.WaitGroup
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin, told := time.Now(), time.Duration(0)
	for made := 0; ; <-tick.C {
		passed := time.Since(begin)
		if passed >= length {
			break
		}
		for ; float64(made) < rate*passed.Seconds(); made++ {
			client := s.clients[made%connections]
			calls.Go(func() { o.call(client, int(passed/slice)) })
		}
		if passed-told >= time.Second {
			told = passed
			fmt.Fprintf(out, "  after %.0f s %s\n", passed.Seconds(), o.soFar())
		}
	}
	calls.Wait()
	return o, nil
}

// call makes one call, and notes what became of it.
func (o *outcome) call(client *geerpc.Client, arrived int) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var done bool
	err := client.Call(ctx, "Resource.Use", 0, &done)
	took := time.Since(begin)
	var e *geerpc.Error
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil && took <= deadline:
		o.good[arrived]++
		o.waited = append(o.waited, took)
	case errors.As(err, &e) && e.Code == geerpc.CodeResourceExhausted:
		o.refused++
	default:
		o.late++
		o.waited = append(o.waited, took)
	}
}

func (o *outcome) goodCalls() (sum int) {
	for _, n := range o.good {
		sum += n
	}
	return sum
}

func (o *outcome) soFar() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprintf("%5d answered in time, %5d refused, %5d too late", o.goodCalls(), o.refused, o.late)
}

// quantile returns how long the calls that were not refused took.
func (o *outcome) quantile(q float64) time.Duration {
	if len(o.waited) == 0 {
		return 0
	}
	slices.Sort(o.waited)
	return o.waited[int(q*float64(len(o.waited)-1))]
}
