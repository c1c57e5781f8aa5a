package xclient

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

var badURLs = []string{"", "127.0.0.1:9999", "registry", "ftp://registry", "http://", "http://regi stry", "http://r:x/"}

// TestBadRegistryURL: calls fail at once and are not made again, with what to
// give instead; a list may be given by Update all the same.
func TestBadRegistryURL(t *testing.T) {
	t.Parallel()
	for _, url := range append(badURLs, strings.Join(badURLs, ",")) {
		synctest.Test(t, func(t *testing.T) {
			d := NewGeeRegistryDiscovery(url, 0)
			defer d.Close()
			w := newWorld(t)
			xc := w.client(d)
			begin := time.Now()
			for range 3 {
				err := xc.Call(context.Background(), "Work.Name", 0, nil)
				wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
				if want := "want a URL such as http://10.0.0.1:9999/_geerpc_/registry"; !strings.Contains(err.Error(), want) {
					t.Errorf("%q: %v", url, err)
				}
				wantError(t, d.Refresh(), geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
				wantError(t, d.Wait(t.Context()), geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
			}
			if took := time.Since(begin); took > 0 || d.running() {
				t.Errorf("%q: took %s, watching: %v", url, took, d.running())
			}
			d.Update([]string{w.start("a")})
			for range 3 {
				name(t, xc)
				time.Sleep(time.Hour)
			}
		})
	}
}

// TestBadURLAmongGoodOnes is left out, which the logger hears. The error of a
// call has it too, if the good ones fail.
func TestBadURLAmongGoodOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry("tcp@a:1")
		d := NewGeeRegistryDiscovery("127.0.0.1:9999, http://a/_geerpc_/registry, ftp://b", 0)
		defer d.Close()
		d.client.Transport = r
		var log, own bytes.Buffer
		option := &geerpc.Option{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		defer New(d, Config{Option: option}).Close()
		d.Logger = slog.New(slog.NewTextHandler(&own, nil))
		defer New(d, Config{Option: option}).Close()
		for _, text := range []string{log.String(), own.String()} {
			if strings.Count(text, "level=WARN") != 2 || !strings.Contains(text, "127.0.0.1:9999") {
				t.Errorf("logged: %s", text)
			}
		}
		wantListAtOnce(t, d, "tcp@a:1")
		d.Update([]string{"tcp@b:1"})
		wantListAtOnce(t, d, "tcp@b:1")
		time.Sleep(2 * DefaultUpdateTimeout) // what Update said gives way to the registry
		wantListAtOnce(t, d, "tcp@a:1")
	})
	synctest.Test(t, func(t *testing.T) {
		r := newWireRegistry()
		r.fails(http.NotFound)
		d := NewGeeRegistryDiscovery("http://a/regis, 127.0.0.1:9999", 0)
		defer d.Close()
		d.client.Transport = r
		_, err := d.GetAll()
		wantError(t, err, geerpc.CodeUnavailable, geerpc.InClient, geerpc.RanNever)
		for _, want := range []string{"http://a/regis: status 404 Not Found; is the path /_geerpc_/registry?", `"127.0.0.1:9999": want a URL`} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %s", err, want)
			}
		}
	})
}

// TestBadURLWithPassword: what may be one is not in the error.
func TestBadURLWithPassword(t *testing.T) {
	for _, url := range []string{"http://me:secret@ho st/", "ftp://me:secret@host/", "http://me:se/secret@host/", "me:secret@host"} {
		d := NewGeeRegistryDiscovery(url, 0)
		if _, err := d.Get(RandomSelect); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("error is %v", err)
		}
	}
}
