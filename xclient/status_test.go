package xclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestD221_Servers tells of each state, and the Logger hears of each change.
func TestD221_Servers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld(t)
		actors, addrs := cast(t, w, 4)
		w.hang("hanging", true)
		addrs = append(addrs, "pipe@hanging", "pipe@nobody")
		xc := New(NewMultiServerDiscovery(addrs), Config{Balancer: RoundRobin(), Option: &geerpc.Option{
			Dialer: w.DialContext, Logger: slog.New(slog.NewTextHandler(&log, nil))}})
		status := func(addr string) ServerStatus {
			for _, st := range xc.Servers() {
				if st.Endpoint.Addr == addr {
					return st
				}
			}
			return ServerStatus{}
		}
		want := func(addr string, state ServerState) {
			t.Helper()
			if st := status(addr); st.State != state {
				t.Errorf("%s is %s (%s), want %s", addr, st.State, st.Why, state)
			}
		}
		xc.Call(mustEnd(t, time.Second), "Stage.Play", 0, nil)
		synctest.Wait()
		idle := 0
		for _, st := range xc.Servers() {
			if st.State == StateIdle {
				idle++
			}
		}
		if n := len(xc.Servers()); n != 6 || idle == 0 {
			t.Errorf("after one call %d of %d servers are idle", idle, n)
		}
		for range 30 {
			xc.Call(mustEnd(t, time.Second), "Stage.Play", 0, nil)
		}
		synctest.Wait()
		want(addrs[0], StateReady)
		want("pipe@hanging", StateDialling)
		want("pipe@nobody", StateDown)
		if st := status(addrs[0]); st.Latency != 10*time.Millisecond || st.Answers == 0 || st.Failures != 0 {
			t.Errorf("%+v", st)
		}

		actors[0].plays(hangs)
		for status(addrs[0]).State != StateEjected {
			xc.Call(mustEnd(t, 100*time.Millisecond), "Stage.Play", 0, nil)
		}
		st := status(addrs[0])
		if left := time.Until(st.Until); left < 3*time.Second || left > 7*time.Second || !strings.Contains(st.Why, "in a row") {
			t.Errorf("%+v", st)
		}
		time.Sleep(2 * DefaultEjectBackoff)
		synctest.Wait()
		want(addrs[0], StateProbation)
		actors[0].plays(takes(0))
		for range 30 {
			xc.Call(mustEnd(t, time.Second), "Stage.Play", 0, nil)
		}
		want(addrs[0], StateReady)
		w.start("nobody")
		time.Sleep(time.Minute)
		want("pipe@nobody", StateReady)
		if _, err := json.Marshal(xc.Servers()); err != nil {
			t.Error(err)
		}
		xc.Close()
		for _, line := range []string{"server ejected", "server on probation", "server ready again", "server out of reach", "server in reach again"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%d lines of the log say %q:\n%s", n, line, &log)
			}
		}
	})
}

// TestD221_Draining: a server that shuts down is draining while it answers its calls, whether
// or not another call has noticed. Then it is out of reach.
func TestD221_Draining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		addr := w.start("a")
		xc := w.client(NewMultiServerDiscovery([]string{addr}))
		defer xc.Close()
		want := func(state ServerState, connections int, calls int64) {
			t.Helper()
			synctest.Wait()
			if st := xc.Servers()[0]; st.State != state || st.Connections != connections || st.Calls != calls || st.Recent != int(calls) {
				t.Errorf("%+v, want %s", st, state)
			}
		}
		name(t, xc)
		call := xc.Go("Work.Wait", 0, new(string), nil)
		want(StateReady, 1, 2)
		host := w.host("a")
		stopped := make(chan error, 1)
		go func() { stopped <- host.Shutdown(context.Background()) }() // ends with the call
		want(StateDraining, 0, 2)
		xc.Call(mustEnd(t, time.Second), "Work.Name", 0, nil)
		want(StateDraining, 0, 2)
		close(host.work.gate)
		if <-call.Done; call.Error != nil {
			t.Error(call.Error)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		want(StateDown, 0, 2)
		time.Sleep(11 * time.Second)
		if st := xc.Servers()[0]; st.Recent != 0 || st.Calls != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// TestD221_Counters counts further attempts, and those that there was no budget
// for.
func TestD221_Counters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlaky()
		xc, _, addrs := flakyCluster(t, f, 2, Config{})
		f.fail(errLost, addrs...)
		for range 100 {
			xc.Call(Idempotent(context.Background()), "Work.Name", 0, nil)
		}
		c := xc.Counters()
		if c.Retries < retryFloor || c.RetriesRefused == 0 || c.RetriesLeft > retryFloor || c.Hedges != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// TestF220_SilentServersComeLast: of ten servers six are dead, and the registry
// says so. The first call does not try one of them. (It took 1 s in the median.)
func TestF220_SilentServersComeLast(t *testing.T) {
	for _, b := range balancers {
		t.Run(b.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				_, addrs := cast(t, w, 4)
				var endpoints []Endpoint
				for _, addr := range addrs {
					endpoints = append(endpoints, Endpoint{Addr: addr})
				}
				for _, dead := range []string{"d0", "d1", "d2", "d3", "d4", "d5"} {
					w.hang(dead, true)
					endpoints = append(endpoints, Endpoint{Addr: "pipe@" + dead, Silent: true})
				}
				d, err := NewEndpoints(endpoints)
				if err != nil {
					t.Fatal(err)
				}
				for range 20 {
					xc := New(d, Config{Balancer: b.Balancer, Option: &geerpc.Option{Dialer: w.DialContext}})
					begin := time.Now()
					err := xc.Call(mustEnd(t, 10*time.Second), "Stage.Play", 0, nil)
					if took := time.Since(begin); err != nil || took > 10*time.Millisecond {
						t.Errorf("the first call took %s: %v", took, err)
					}
					xc.Close()
				}
			})
		})
	}
}

// failingDiscovery fails with an error of its own.
type failingDiscovery struct{ Discovery }

var errDiscovery = errors.New("broken")

func (failingDiscovery) Get(SelectMode) (string, error) { return "", errDiscovery }

func (failingDiscovery) GetAll() ([]string, error) { return nil, errDiscovery }

// TestD221_DiscoveryError: the error of a Discovery says that nothing was sent.
func TestD221_DiscoveryError(t *testing.T) {
	xc := New(failingDiscovery{NewMultiServerDiscovery(nil)}, Config{})
	defer xc.Close()
	for _, err := range []error{
		xc.Call(context.Background(), "Work.Name", 0, nil),
		xc.Broadcast(context.Background(), "Work.Name", 0, nil),
	} {
		wantError(t, err, geerpc.CodeUnknown, geerpc.InClient, geerpc.RanNever)
		if !errors.Is(err, errDiscovery) {
			t.Error(err)
		}
	}
}
