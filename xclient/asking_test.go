package xclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/registry"
)

// A call fails when its first list can't be had: a Retry does not have each of
// its attempts wait for a registry that hangs.
func TestFirstListIsAwaitedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.hangs()
		xc := New(r.discovery(t, 0), Config{Retry: Retry{MaxAttempts: 10}})
		defer xc.Close()
		begin := time.Now()
		err := xc.Call(t.Context(), "Work.Name", 0, nil)
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		if took := time.Since(begin); took != refreshLimit {
			t.Errorf("%v after %s, want %s", err, took, refreshLimit)
		}
	})
}

// Attempts with a time limit of their own are others.
func TestFirstListIsAwaitedInEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r fakeRegistry
		r.hangs()
		d := r.discovery(t, 0)
		list := func(ctx context.Context, _ string, _, _ any) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := d.List(ctx)
			return err
		}
		begin := time.Now()
		err := Retry{MaxAttempts: 3, Backoff: -1}.Intercept(list)(t.Context(), "Work.Name", 0, nil)
		if took := time.Since(begin); err == nil || took != 3*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// One that fails at once is asked again, like a server that is down: it may be
// about to start, with everything else.
func TestFirstListIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		r.fails(fault500)
		d := watching(t, r)
		time.AfterFunc(time.Second, func() { r.fails(nil); r.lists("tcp@a:1") })
		list := func(ctx context.Context, _ string, _, _ any) error {
			_, err := d.List(ctx)
			return err
		}
		if err := (Retry{MaxAttempts: 10}).Intercept(list)(t.Context(), "Work.Name", 0, nil); err != nil {
			t.Error(err)
		}
	})
}

// A Refresh that fails does not say that there are no servers, where there are.
func TestRefreshFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := watching(t, r)
		wantListAtOnce(t, d, "tcp@a:1")
		r.fails(fault500)
		time.Sleep(time.Minute)
		err := d.Refresh()
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		if errors.Is(err, errNoServers) || !strings.Contains(err.Error(), "status 500") {
			t.Error(err)
		}
		wantListAtOnce(t, d, "tcp@a:1")
	})
}

// A registry that fails is logged once, and once more when it answers again.
func TestRegistryFailureIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well, ill := newWireRegistry("tcp@a:1"), newWireRegistry()
		d := watching(t, well, ill)
		var text bytes.Buffer
		d.Logger = slog.New(slog.NewTextHandler(&text, nil))
		logged := func(want ...string) {
			t.Helper()
			synctest.Wait()
			lines := strings.SplitAfter(text.String(), "\n")
			if lines = lines[:len(lines)-1]; len(lines) != len(want) {
				t.Fatalf("logged %q, want %q", lines, want)
			}
			for i := range want {
				if !strings.Contains(lines[i], want[i]) || !strings.Contains(lines[i], "registry=http://b/") {
					t.Errorf("logged %q, want %q", lines[i], want[i])
				}
			}
		}
		wantListAtOnce(t, d, "tcp@a:1")
		time.Sleep(2 * watchWait)
		logged()
		ill.fails(fault500)
		for range 20 {
			wantListAtOnce(t, d, "tcp@a:1") // it is used
			time.Sleep(watchWait)
		}
		logged("level=WARN")
		ill.fails(nil)
		time.Sleep(2 * watchWait)
		logged("level=WARN", "level=INFO")
	})
}

// A Client of the user's asks the registries, whatever its time limit: with a
// certificate authority of one's own, for example.
func TestRegistryClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := NewGeeRegistryDiscovery("http://a/_geerpc_/registry", 0)
		defer d.Close()
		d.Client = &http.Client{Transport: r, Timeout: time.Second}
		wantListAtOnce(t, d, "tcp@a:1")
		time.Sleep(watchWait) // being watched
		r.lists("tcp@b:1")
		synctest.Wait()
		wantListAtOnce(t, d, "tcp@b:1")
		if asked, _ := r.times(); asked > 5 {
			t.Errorf("the registry has been asked %d times", asked)
		}
	})
}

// TestRegistryClient_TLS is the same with a real registry.
func TestRegistryClient_TLS(t *testing.T) {
	r := registry.New(0)
	srv := httptest.NewUnstartedServer(r)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who don't know its authority
	srv.StartTLS()
	defer srv.Close()
	reg := registry.Register(registry.Config{Registries: []string{srv.URL}, Addr: "tcp@a.example:1", Client: srv.Client()})
	defer reg.Close()
	if err := reg.Err(); err != nil {
		t.Fatal(err)
	}
	stranger, friend := NewGeeRegistryDiscovery(srv.URL, 0), NewGeeRegistryDiscovery(srv.URL, 0)
	defer stranger.Close()
	defer friend.Close()
	friend.Client = srv.Client()
	if _, err := stranger.List(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
	if l, err := friend.List(t.Context()); err != nil || addrs(l.Endpoints) != "tcp@a.example:1" {
		t.Errorf("%v, %v", l, err)
	}
}
