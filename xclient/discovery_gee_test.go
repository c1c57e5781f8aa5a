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
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
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
	if got := all(d); got != "tcp@b:2,unix@@a" {
		t.Fatal(got)
	}
	if addr, err := d.Get(RandomSelect); err != nil || addr != "tcp@b:2" && addr != "unix@@a" {
		t.Fatal(addr, err)
	}
}

// TestA28_BadAnswers: whatever the registry does, a good list stays, nobody
// waits, and the next good one is taken. Without a list it is an error.
func TestA28_BadAnswers(t *testing.T) {
	answer := func(status int, h http.Header) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) { return response(status, h), nil }
	}
	for _, c := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		want   string
	}{
		{"down", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, "connection refused"},
		{"500", answer(500, http.Header{serversHeader: {"tcp@evil:1"}}), "status 500"},
		{"204", answer(204, http.Header{serversHeader: {"tcp@evil:1"}}), "status 204"},
		{"hangs", nil, "context deadline exceeded"},
		{"empty", answer(200, http.Header{serversHeader: {""}}), "no available servers"},
		{"blank", answer(200, http.Header{serversHeader: {" , ,"}}), "no available servers"},
		{"nonsense", answer(200, http.Header{serversHeader: {"hello, you @there"}}), "no available servers"},
		{"HTML", answer(200, http.Header{"Content-Type": {"text/html"}}), "is it a registry?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r fakeRegistry
				bad := func() {
					if r.answers(c.answer); c.answer == nil {
						r.hangs()
					}
				}
				d := r.discovery(10 * time.Second)
				bad()
				_, err := d.Get(RandomSelect)
				wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
				if got := all(d); !strings.Contains(err.Error(), c.want) || !strings.Contains(got, c.want) {
					t.Fatalf("without a list: %v, %s; want %q in them", err, got, c.want)
				}
				r.lists("tcp@a:1,tcp@b:2")
				if got := all(d); got != "tcp@a:1,tcp@b:2" { // no pause while there is no list
					t.Fatal(got)
				}
				bad()
				for range 60 {
					time.Sleep(time.Minute)
					begin := time.Now()
					if got := all(d); got != "tcp@a:1,tcp@b:2" {
						t.Fatal(got)
					}
					if addr, err := d.Get(RoundRobinSelect); err != nil || addr == "" {
						t.Fatal(addr, err)
					}
					if took := time.Since(begin); took > 0 {
						t.Fatalf("waited for %s", took)
					}
				}
				synctest.Wait()
				time.Sleep(time.Minute)
				if err := d.Refresh(); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Refresh: %v, want %q", err, c.want)
				}
				r.lists("tcp@c:3")
				time.Sleep(retryPause)
				all(d)
				synctest.Wait()
				if got := all(d); got != "tcp@c:3" {
					t.Errorf("the next good list is not taken: %s", got)
				}
				if n := r.bodies.Load(); n != 0 {
					t.Errorf("%d bodies are left open", n)
				}
			})
		})
	}
}

func TestBadRegistryURL(t *testing.T) {
	for _, url := range []string{"", "http://regi stry", "ftp://registry", "http://"} {
		_, err := NewGeeRegistryDiscovery(url, 0).Get(RandomSelect)
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
	}
}

func TestParseServers(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"one", "tcp@a:1", "tcp@a:1"},
		{"blanks around", " tcp@a:1 ,\ttcp@b:2,", "tcp@a:1|tcp@b:2"},
		{"bad ones among good ones", "tcp@a:1,x,@,tcp@,@b,tcp@b c,tcp@d\x00,http@e:1", "tcp@a:1|http@e:1"},
		{"abstract socket", "unix@@a", "unix@@a"},
		{"too long", "tcp@" + strings.Repeat("a", 252) + ",tcp@" + strings.Repeat("b", 251), "tcp@" + strings.Repeat("b", 251)},
	} {
		if got := strings.Join(parseServers(c.list), "|"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRefreshIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.lists("tcp@a:1")
		for timeout, want := range map[time.Duration]int{
			0:           6, // in a minute
			time.Second: 60,
			time.Hour:   1,
			-1:          1,
		} {
			before := r.timesAsked()
			d := r.discovery(timeout)
			for range 600 {
				all(d)
				time.Sleep(time.Second / 10)
			}
			if n := r.timesAsked() - before; n != want {
				t.Errorf("timeout %s: asked %d times in a minute, want %d", timeout, n, want)
			}
		}
		// With the list at hand a registry that fails is asked once a second.
		d := r.discovery(0)
		all(d)
		r.answers(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
		time.Sleep(10 * time.Second)
		before := r.timesAsked()
		for range 600 {
			all(d)
			time.Sleep(time.Second / 10)
		}
		if n := r.timesAsked() - before; n != 60 {
			t.Errorf("a registry that is down was asked %d times in a minute, want 60", n)
		}
	})
}

// TestOneRefreshAtATime has many wait for the first list.
func TestOneRefreshAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.answers(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, http.Header{serversHeader: {"tcp@a:1"}}), nil
		})
		d := r.discovery(10 * time.Second)
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
		for n := range 3 {
			round()
			if asked := r.timesAsked(); asked != n+1 {
				t.Fatalf("asked %d times in %d rounds", asked, n+1)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// TestWaitForFirstListUnderContext: the Discovery interface has no context, but
// a call has.
func TestWaitForFirstListUnderContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.hangs()
		xc := NewXClient(r.discovery(0), RandomSelect, nil)
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
		time.Sleep(refreshLimit) // the request ends by itself
	})
}

// TestUpdateOvertakesRefresh: what was asked for before an Update must not
// replace what the Update said.
func TestUpdateOvertakesRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.answers(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, http.Header{serversHeader: {"tcp@old:1"}}), nil
		})
		d := r.discovery(10 * time.Second)
		waiter := make(chan string)
		go func() { waiter <- all(d) }()
		synctest.Wait()
		mine := []string{"tcp@new:1"}
		if err := d.Update(mine); err != nil {
			t.Fatal(err)
		}
		mine[0] = "tcp@evil:1" // A33
		if got := <-waiter; got != "tcp@new:1" {
			t.Errorf("who waited for the registry gets %s", got)
		}
		time.Sleep(9 * time.Second) // 10 since the Update
		if got := all(d); got != "tcp@new:1" || r.timesAsked() != 1 {
			t.Errorf("then the list is %s, asked %d times", got, r.timesAsked())
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if got := all(d); got != "tcp@old:1" {
			t.Errorf("the registry is never asked again: %s", got)
		}
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
			servers, err := NewGeeRegistryDiscovery("http://"+lis.Addr().String(), 0).GetAll()
			if !slices.Equal(servers, c.want) || (err == nil) != (c.want != nil) {
				t.Errorf("%v, %v", servers, err)
			}
			if err := <-hungUp; err != nil {
				t.Error(err)
			}
		})
	}
}
