package registry

import (
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/registryapi"
)

func TestRegisterListDeregister(t *testing.T) {
	r := New(0)
	if got := ask(r, http.MethodGet, "", "").Header; len(got.Values(registryapi.ServersHeader)) != 1 || got.Get(registryapi.ServersHeader) != "" {
		t.Fatalf("an empty registry answers %v, want an empty list and not none", got)
	}
	for _, addr := range []string{"tcp@b:2", "unix@@abstract", "tcp@a:1", "tcp@b:2"} {
		if resp := ask(r, http.MethodPost, addr, ""); resp.StatusCode != http.StatusOK {
			t.Fatalf("POST %s: %s", addr, resp.Status)
		}
	}
	if got := list(r); got != "tcp@a:1,tcp@b:2,unix@@abstract" {
		t.Fatalf("the list is %q", got)
	}
	for range 2 { // to say it twice is no error
		if resp := ask(r, http.MethodDelete, "tcp@b:2", ""); resp.StatusCode != http.StatusOK {
			t.Fatalf("DELETE: %s", resp.Status)
		}
	}
	if got := list(r); got != "tcp@a:1,unix@@abstract" {
		t.Fatalf("the list is %q after one has left", got)
	}
}

func TestA27_Addresses(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		ok         bool
	}{
		{"plain", "tcp@10.0.0.1:9999", true},
		{"ipv6", "tcp@[::1]:9999", true},
		{"umlaut", "unix@/tmp/ü", true},
		{"as long as it gets", "tcp@" + strings.Repeat("a", registryapi.MaxAddressBytes-4), true},
		{"without a port, for a dialer of one's own", "tcp@a", true},
		{"no protocol", "10.0.0.1:9999", false},
		{"an empty protocol", "@a:1", false},
		{"nothing but a protocol", "tcp@", false},
		{"none", "", false},
		{"blank", " ", false},
		{"blank inside", "tcp@a:1 tcp@b:2", false},
		{"tab", "tcp@a\t:1", false},
		{"comma", "tcp@a:1,tcp@b:2", false},
		{"CR LF", "tcp@a:1\r\nSet-Cookie: x", false},
		{"LF", "tcp@a:1\n", false},
		{"NUL", "tcp@a:1\x00", false},
		{"no-break space", "tcp@a:1\u00a0", false},
		{"too long", "tcp@" + strings.Repeat("a", registryapi.MaxAddressBytes-3), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := New(0)
			want, wantList := http.StatusOK, c.addr
			if !c.ok {
				want, wantList = http.StatusBadRequest, ""
			}
			for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodPost} {
				if resp := ask(r, method, c.addr, ""); resp.StatusCode != want {
					t.Errorf("%s: %s, want %d", method, resp.Status, want)
				}
			}
			if got := list(r); got != wantList {
				t.Errorf("the list is %q, want %q", got, wantList)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodOptions} {
		resp := ask(New(0), method, "tcp@a:1", "")
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") == "" {
			t.Errorf("%s: %s, Allow %q", method, resp.Status, resp.Header.Get("Allow"))
		}
	}
}

// TestTimeToLive beats once and looks just before and just after the server
// should be forgotten.
func TestTimeToLive(t *testing.T) {
	for _, c := range []struct {
		name     string
		timeout  time.Duration
		interval string
		lives    time.Duration // 0: for ever
	}{
		{"announced", 5 * time.Minute, "10s", 30 * time.Second},
		{"announced, beyond the timeout", time.Second, "1m", 3 * time.Minute},
		{"F55, an old server", 5 * time.Minute, "", 5 * time.Minute},
		{"old server, timeout of its own", time.Minute, "", time.Minute},
		{"announced for a thousand years", time.Minute, "200000h", 3 * 24 * time.Hour},
		{"never, old server", 0, "", 0},
		{"never, announced", 0, "1s", 0},
		{"never, negative", -1, "1s", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(c.timeout)
				if resp := ask(r, http.MethodPost, "tcp@a:1", c.interval); resp.StatusCode != http.StatusOK {
					t.Fatal(resp.Status)
				}
				if c.lives == 0 {
					time.Sleep(10 * 365 * 24 * time.Hour)
				} else {
					time.Sleep(c.lives - 1)
				}
				if list(r) != "tcp@a:1" {
					t.Error("it was forgotten too early")
				}
				time.Sleep(1 + sweepInterval)
				if list(r) != "" && c.lives != 0 {
					t.Error("it is not forgotten")
				}
			})
		})
	}
}

func TestBadInterval(t *testing.T) {
	for _, interval := range []string{"10", "0s", "-1s", "soon", "1s 2s"} {
		r := New(time.Minute)
		if resp := ask(r, http.MethodPost, "tcp@a:1", interval); resp.StatusCode != http.StatusBadRequest || list(r) != "" {
			t.Errorf("interval %q: %s, list %q", interval, resp.Status, list(r))
		}
	}
}

// TestF55_OldServer beats as GeeRPC's servers do, every four minutes and with
// no word of the next beat.
func TestF55_OldServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(DefaultTimeout)
		for range 20 {
			ask(r, http.MethodPost, "tcp@old:1", "")
			time.Sleep(4 * time.Minute)
			if list(r) != "tcp@old:1" {
				t.Fatal("forgotten between two beats")
			}
		}
	})
}

func TestF57_ServersAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(time.Minute)
		r.Grace = -1
		for i := range maxServers {
			if resp := ask(r, http.MethodPost, fmt.Sprint("tcp@h:", i), "1s"); resp.StatusCode != http.StatusOK {
				t.Fatal(i, resp.Status)
			}
		}
		if resp := ask(r, http.MethodPost, "tcp@one:more", ""); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one more than fit: %s", resp.Status)
		}
		if resp := ask(r, http.MethodPost, "tcp@h:0", ""); resp.StatusCode != http.StatusOK {
			t.Errorf("a beat of one that is in: %s", resp.Status)
		}
		if n := len(r.Servers()); n != maxServers {
			t.Errorf("there are %d", n)
		}
		time.Sleep(3*time.Second + 2*sweepInterval) // all but h:0 expire, and nobody asks for the list
		if resp := ask(r, http.MethodPost, "tcp@one:more", ""); resp.StatusCode != http.StatusOK {
			t.Errorf("now there is room: %s", resp.Status)
		}
		if got := list(r); got != "tcp@h:0,tcp@one:more" {
			t.Errorf("the list is %.99q", got)
		}
	})
}

// TestF62_ClockJumps can't set the clock, but it can look whether the time
// that is kept would care.
func TestF62_ClockJumps(t *testing.T) {
	r := New(time.Minute)
	ask(r, http.MethodPost, "tcp@a:1", "")
	for _, at := range []time.Time{r.servers["tcp@a:1"].expiresAt, r.servers["tcp@a:1"].lateAt} {
		if !strings.Contains(at.String(), " m=") {
			t.Errorf("%v has no monotonic reading", at)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	r := new(GeeRegistry)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			mine := fmt.Sprint("tcp@h:", i)
			for range 100 {
				ask(r, http.MethodPost, mine, "1h")
				if !strings.Contains(list(r), mine) {
					t.Error("not in the list: ", mine)
				}
				ask(r, http.MethodDelete, mine, "")
			}
		})
	}
	wg.Wait()
	if got := list(r); got != "" {
		t.Errorf("left over: %q", got)
	}
}

// TestA22_HandleHTTPTwice is about the mux of the process, and undoes nothing:
// the other tests don't use it.
func TestA22_HandleHTTPTwice(t *testing.T) {
	var logged strings.Builder
	before := slog.Default()
	defer log.SetOutput(log.Writer()) // SetDefault redirects it
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	HandleHTTP()
	HandleHTTP()
	other := New(0)
	path := fmt.Sprintf("/other/%p", other)
	other.HandleHTTP(path)
	if logged.Len() > 0 {
		t.Errorf("logged without need: %s", &logged)
	}
	other.HandleHTTP(registryapi.DefaultPath)
	if !strings.Contains(logged.String(), "the path is taken") {
		t.Errorf("logged of a path that is taken: %q", &logged)
	}
	server := httptest.NewServer(nil)
	defer server.Close()
	for path, addr := range map[string]string{registryapi.DefaultPath: "tcp@default:1", path: "tcp@other:1"} {
		if reg := Heartbeat(server.URL+path, addr, time.Hour); reg.Err() != nil {
			t.Fatal(reg.Err())
		} else {
			defer reg.Close()
		}
	}
	if got := list(DefaultGeeRegister); got != "tcp@default:1" {
		t.Errorf("the default registry has %q", got)
	}
	if got := list(other); got != "tcp@other:1" {
		t.Errorf("the other registry has %q", got)
	}
}

// TestA22_RegistryConflict: a pattern that the default mux can't tell from the
// path is reported as a path that is taken, and doesn't panic.
func TestA22_RegistryConflict(t *testing.T) {
	before, output := slog.Default(), log.Writer()
	mux := http.DefaultServeMux
	defer func() {
		http.DefaultServeMux = mux
		slog.SetDefault(before)
		log.SetOutput(output) // SetDefault redirects it
	}()
	http.DefaultServeMux = http.NewServeMux()
	http.HandleFunc("POST /{x}/", func(http.ResponseWriter, *http.Request) {})
	var logged strings.Builder
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	New(0).HandleHTTP(registryapi.DefaultPath)
	if text := logged.String(); !strings.Contains(text, "the path is taken") || !strings.Contains(text, "conflict") {
		t.Errorf("logged: %q", text)
	}
}
