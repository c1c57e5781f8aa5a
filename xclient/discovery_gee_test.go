package xclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
	"geerpc/registry"
)

// all returns the list of d as one string, or the error.
func all(d Discovery) string {
	servers, err := d.GetAll()
	if err != nil {
		return err.Error()
	}
	return strings.Join(servers, ",")
}

func TestRegistryDiscoveryOverHTTP(t *testing.T) {
	r := registry.New(time.Minute)
	server := httptest.NewServer(r)
	defer server.Close()
	for _, addr := range []string{"tcp@b:2", "unix@@a"} {
		reg := registry.Heartbeat(server.URL, addr, 0)
		defer reg.Close()
	}
	d := NewGeeRegistryDiscovery(server.URL, 0)
	defer d.Close()
	if got := all(d); got != "tcp@b:2,unix@@a" {
		t.Fatal(got)
	}
	if addr, err := d.Get(RandomSelect); err != nil || addr != "tcp@b:2" && addr != "unix@@a" {
		t.Fatal(addr, err)
	}
}

// TestA28_BadAnswers: whatever a registry that can't be watched does, a good
// list stays, nobody waits, and the next good one is taken. Without a list it is
// an error, and so it is in the end if nobody is listed any more.
func TestA28_BadAnswers(t *testing.T) {
	t.Parallel()
	answer := func(status int, h http.Header) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return response(status, h), nil }
	}
	for _, c := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		want   string
		empty  bool
	}{
		{name: "down", answer: func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, want: "connection refused"},
		{name: "500", answer: answer(500, http.Header{registryapi.ServersHeader: {"tcp@evil:1"}}), want: "status 500"},
		{name: "204", answer: answer(204, http.Header{registryapi.ServersHeader: {"tcp@evil:1"}}), want: "status 204"},
		{name: "hangs", answer: hang, want: "context deadline exceeded"},
		{name: "HTML", answer: answer(200, http.Header{"Content-Type": {"text/html"}}), want: "is it a registry?"},
		{name: "empty", answer: answer(200, http.Header{registryapi.ServersHeader: {""}}), want: "no available servers", empty: true},
		{name: "blank", answer: answer(200, http.Header{registryapi.ServersHeader: {" , ,"}}), want: "no available servers", empty: true},
		{name: "nonsense", answer: answer(200, http.Header{registryapi.ServersHeader: {"hello, you @there"}}), want: "no available servers", empty: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { badAnswers(t, c.answer, c.want, c.empty) })
		})
	}
}

// badAnswers has a registry give a bad answer before the first list, and later.
func badAnswers(t *testing.T, bad func(*http.Request) (*http.Response, error), want string, empty bool) {
	var r fakeRegistry
	d := r.discovery(t, 10*time.Second)
	r.answers(bad)
	_, err := d.Get(RandomSelect)
	wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
	if got := all(d); !strings.Contains(err.Error(), want) || !strings.Contains(got, want) {
		t.Fatalf("without a list: %v, %s; want %q in them", err, got, want)
	}
	r.lists("tcp@a:1,tcp@b:2")
	begin := time.Now()
	if got := all(d); got != "tcp@a:1,tcp@b:2" || time.Since(begin) > minPause {
		t.Fatalf("%s after %s, though there was no list", got, time.Since(begin))
	}
	r.answers(bad)
	time.Sleep(d.timeout + refreshLimit + time.Second) // it has given a bad answer
	if err := d.Refresh(); !empty && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("Refresh: %v, want %q", err, want)
	}
	for range 3 * 3600 {
		wantListAtOnce(t, d, "tcp@a:1,tcp@b:2")
		if empty {
			break
		}
		time.Sleep(time.Second)
	}
	if empty {
		for end := time.Now().Add(legacyTTL + tickInterval); time.Now().Before(end); time.Sleep(time.Second) {
			d.Get(RandomSelect) // or the watch would end
		}
		if _, err := d.Get(RandomSelect); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("after the grace time: %v", err)
		}
	}
	r.lists("tcp@c:3")
	time.Sleep(refreshLimit + d.timeout + minPause) // the request on its way may hang first
	if got := all(d); got != "tcp@c:3" && got != "tcp@a:1,tcp@b:2,tcp@c:3" {
		t.Errorf("the next good list is not taken: %s", got)
	}
	if n := r.bodies.Load(); n != 0 {
		t.Errorf("%d bodies are left open", n)
	}
}

// wantListAtOnce checks that nobody waits for the list, in a bubble.
func wantListAtOnce(t *testing.T, d Discovery, want string) {
	t.Helper()
	begin := time.Now()
	if got := all(d); got != want {
		t.Fatalf("the list is %s, want %s", got, want)
	}
	if addr, err := d.Get(RoundRobinSelect); err != nil || !strings.Contains(want, addr) {
		t.Fatal(addr, err)
	}
	if took := time.Since(begin); took > 0 {
		t.Fatalf("waited for %s", took)
	}
}

// TestA27_BadAddresses: those that nobody could dial are left out, and so is
// what comes twice.
func TestA27_BadAddresses(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"one", "tcp@a:1", "tcp@a:1"},
		{"blanks around", " tcp@a:1 ,\ttcp@b:2,", "tcp@a:1|tcp@b:2"},
		{"bad ones among good ones", "tcp@a:1,x,@,tcp@,@b,tcp@b c,tcp@d\x00,http@e:1", "http@e:1|tcp@a:1"},
		{"twice", "tcp@a:1,tcp@b:2,tcp@a:1", "tcp@a:1|tcp@b:2"},
		{"abstract socket", "unix@@a", "unix@@a"},
		{"too long", "tcp@" + strings.Repeat("a", 252) + ",tcp@" + strings.Repeat("b", 251), "tcp@" + strings.Repeat("b", 251)},
	} {
		if got := addrs(parseServers(c.list)); got != strings.ReplaceAll(c.want, "|", ",") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// addrs returns the addresses as one string.
func addrs(endpoints []Endpoint) string {
	var list []string
	for _, e := range endpoints {
		list = append(list, e.Addr)
	}
	return strings.Join(list, ",")
}

func TestPollsArePaced(t *testing.T) {
	for _, c := range []struct {
		timeout   time.Duration
		low, high int // times asked in a minute
	}{
		{0, 6, 6},
		{time.Second, 60, 60},
		{time.Nanosecond, 600, 600},
		{time.Hour, 1, 1},
		{-1, 1, 1},
	} {
		t.Run(c.timeout.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r fakeRegistry
				r.lists("tcp@a:1")
				d := r.discovery(t, c.timeout)
				all(d)
				time.Sleep(time.Minute - time.Millisecond)
				if n := r.timesAsked(); n < c.low || n > c.high {
					t.Errorf("asked %d times in a minute, want %d to %d", n, c.low, c.high)
				}
			})
		})
	}
}

// TestFailingRegistryIsPaced: with a list at hand at leisure, without one at
// most ten times a second, however many ask for it.
func TestFailingRegistryIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		down := func(*http.Request) (*http.Response, error) { return nil, errors.New("down") }
		r.answers(down)
		d := r.discovery(t, time.Second)
		for begin := time.Now(); time.Since(begin) < 10*time.Second; {
			all(d) // waits
		}
		if n := r.timesAsked(); n < 90 || n > 101 {
			t.Errorf("without a list it was asked %d times in 10 seconds", n)
		}
		r.lists("tcp@a:1")
		all(d)
		r.answers(down)
		time.Sleep(30 * time.Second)
		all(d)
		before := r.timesAsked()
		time.Sleep(time.Minute)
		if n := r.timesAsked() - before; n < 10 || n > 15 { // every 4 to 6 seconds
			t.Errorf("with a list it was asked %d times in a minute", n)
		}
	})
}

// TestF60_EmptyListKeptOfPolledRegistry: its next answer is far away when the
// grace time is over.
func TestF60_EmptyListKeptOfPolledRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.lists("tcp@a:1")
		d := r.discovery(t, 10*time.Minute)
		all(d)
		r.lists("")
		for range 10*60 + int(legacyTTL/time.Second) {
			wantListAtOnce(t, d, "tcp@a:1")
			time.Sleep(time.Second)
		}
		time.Sleep(tickInterval)
		if _, err := d.Get(RandomSelect); !errors.Is(err, errNoServers) {
			t.Error(err)
		}
	})
}

// TestOneRefreshAtATime has many wait for the first list, and for a newer one.
func TestOneRefreshAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		var underWay atomic.Int64
		r.answers(func(*http.Request) (*http.Response, error) {
			if underWay.Add(1) > 1 {
				t.Error("two requests at a time")
			}
			defer underWay.Add(-1)
			time.Sleep(time.Second)
			return response(200, http.Header{registryapi.ServersHeader: {"tcp@a:1"}}), nil
		})
		d := r.discovery(t, 10*time.Second)
		round := func() {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if addr, err := d.Get(RandomSelect); err != nil || addr != "tcp@a:1" {
						t.Error(addr, err)
					}
					if err := d.Refresh(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		round()
		round()
		if n := r.timesAsked(); n != 1 {
			t.Errorf("asked %d times for the first list", n)
		}
		time.Sleep(10500 * time.Millisecond) // in the middle of a poll, which Refresh does not trust
		round()
		if n := r.timesAsked(); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
	})
}

// TestWaitForFirstListUnderContext: the Discovery interface has no context, but
// a call has.
func TestWaitForFirstListUnderContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.hangs()
		xc := NewXClient(r.discovery(t, 0), RandomSelect, nil)
		defer xc.Close()
		for name, call := range map[string]func(context.Context, string, any, any) error{"Call": xc.Call, "Broadcast": xc.Broadcast} {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			begin := time.Now()
			err := call(ctx, "Work.Name", 0, nil)
			cancel()
			wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.InClient, geerpc.RanNever)
			if took := time.Since(begin); took != 100*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v after %s", name, err, took)
			}
		}
	})
}

// TestUpdateOvertakesRefresh: what was asked for before an Update must not
// replace what the Update said.
func TestUpdateOvertakesRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.answers(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, http.Header{registryapi.ServersHeader: {"tcp@old:1"}}), nil
		})
		d := r.discovery(t, 10*time.Second)
		waiter := make(chan string)
		go func() { waiter <- all(d) }() // ends with the Update
		synctest.Wait()
		mine := []string{"tcp@new:1"}
		if err := d.Update(mine); err != nil {
			t.Fatal(err)
		}
		mine[0] = "tcp@evil:1" // A33
		if got := <-waiter; got != "tcp@new:1" {
			t.Errorf("who waited for the registry gets %s", got)
		}
		time.Sleep(8 * time.Second)
		wantListAtOnce(t, d, "tcp@new:1")
		if err := d.Refresh(); err != nil || r.timesAsked() != 1 {
			t.Errorf("asked %d times before the timeout; %v", r.timesAsked(), err)
		}
		time.Sleep(4 * time.Second)
		wantListAtOnce(t, d, "tcp@old:1")
	})
}

// TestF59_HostileRegistry answers over a real connection with a body without
// end, and with a header without end.
func TestF59_HostileRegistry(t *testing.T) {
	for _, c := range []struct {
		name, head string
		want       []string
	}{
		{"body", "HTTP/1.1 200 OK\r\nX-Geerpc-Servers: tcp@a:1\r\nContent-Length: 1099511627776\r\n\r\n", []string{"tcp@a:1"}},
		{"header", "HTTP/1.1 200 OK\r\nX-Geerpc-Servers: ", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer lis.Close()
			hungUp := make(chan error, 1)
			go func() {
				conn, err := lis.Accept()
				if err != nil {
					hungUp <- err
					return
				}
				defer conn.Close()
				conn.Read(make([]byte, 4096))
				conn.Write([]byte(c.head))
				junk := []byte(strings.Repeat("x", 64<<10))
				for err == nil {
					_, err = conn.Write(junk)
				}
				hungUp <- nil
			}()
			d := NewGeeRegistryDiscovery("http://"+lis.Addr().String(), 0)
			defer d.Close()
			servers, err := d.GetAll()
			if !slices.Equal(servers, c.want) || (err == nil) != (c.want != nil) {
				t.Errorf("%v, %v", servers, err)
			}
			if err := <-hungUp; err != nil {
				t.Error(err)
			}
		})
	}
}
