package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/registry"
	"geerpc/xclient"
)

// A buffer is a log that is written while it is read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// written returns the name of a file of the test's with that in it.
func written(t *testing.T, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// start runs a registry, and returns its URL, its log, and what tells it to end
// and waits for that.
func start(t *testing.T, args ...string) (url string, log *buffer, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log = new(buffer)
	pr, pw := io.Pipe()
	code := make(chan int, 1)
	go func() { // ends with ctx; code tells
		code <- run(ctx, append([]string{"registry", "-addr", "127.0.0.1:0"}, args...), stdio{out: pw, log: log})
		pw.Close()
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if got := <-code; got != 0 {
			t.Errorf("exit code %d; log:\n%s", got, log)
		}
	})
	line, err := bufio.NewReader(pr).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "registry: ")
	if err != nil || !ok {
		stop()
		t.Fatalf("it says %q, %v; log:\n%s", line, err, log)
	}
	return url, log, stop
}

// TestRegistry runs one: a server registers, a caller watches, and it ends
// when it is told to, in the middle of a watch.
func TestRegistry(t *testing.T) {
	const token = "t0ken"
	file := written(t, []byte(token+"\n"))
	url, log, stop := start(t, "-path", "/servers", "-token-file", file, "-grace", "-1s")
	defer stop()
	if !strings.HasPrefix(url, "http://127.0.0.1:") || !strings.HasSuffix(url, "/servers") {
		t.Fatalf("the URL is %q", url)
	}

	if reg := registry.Heartbeat(url, "tcp@a:1", time.Hour); reg.Err() == nil {
		t.Error("registered without the token")
	} else {
		reg.Close()
	}
	reg := registry.Register(registry.Config{Registries: []string{url}, Addr: "tcp@a:1", Interval: time.Hour, Token: token})
	if err := reg.Err(); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, url+"?format=json"); !strings.Contains(body, `"tcp@a:1"`) {
		t.Errorf("the list is %s", body)
	}
	if resp, err := client.Get(strings.TrimSuffix(url, "servers") + "?format=json"); err != nil || resp.Request.URL.RequestURI() != "/servers?format=json" {
		t.Errorf("the root does not lead to the registry: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if err := reg.Close(); err != nil {
		t.Error(err)
	}
	watching := make(chan error, 1)
	index, _ := get(t, url+"?format=json")
	go func() { // ends with the answer, which the test waits for
		resp, err := client.Get(url + "?format=json&wait=60s&index=" + index)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable { // the list as it was would be no news
				err = errors.New(resp.Status)
			}
		}
		watching <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(page(t, url), "<dt>Watching</dt><dd>1 <"); <-time.After(time.Millisecond) { // between two looks: the registry is real
		if time.Now().After(deadline) {
			t.Fatal("nobody watches")
		}
	}
	stop()
	if err := <-watching; err != nil {
		t.Errorf("the watch: %v", err)
	}
	for _, want := range []string{"registry: serving", "server registered", "server left", "registry: stopping", "registry: stopped"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), token) {
		t.Error("the token is in the log")
	}
}

// TestRegistry_TLS runs one that servers and callers talk to over https.
func TestRegistry_TLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler()) // whose certificate is good for tests
	defer srv.Close()
	key, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile := written(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	keyFile := written(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	url, _, stop := start(t, "-cert-file", certFile, "-key-file", keyFile)
	defer stop()
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Fatalf("the URL is %q", url)
	}
	reg := registry.Register(registry.Config{Registries: []string{url}, Addr: "tcp@a:1", Client: srv.Client()})
	if err := reg.Err(); err != nil {
		t.Fatal(err)
	}
	d := xclient.NewGeeRegistryDiscovery(url, 0)
	d.Client = srv.Client()
	if servers, err := d.GetAll(); err != nil || !slices.Equal(servers, []string{"tcp@a:1"}) {
		t.Errorf("the list is %q, %v", servers, err)
	}
	d.Close()
	reg.Close()
	srv.Client().CloseIdleConnections()
}

// client keeps no connection, which would outlive the test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func get(t *testing.T, url string) (index, body string) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return "", ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v", url, resp.Status, err)
	}
	return resp.Header.Get("X-Geerpc-Index"), string(text)
}

func page(t *testing.T, url string) string {
	_, body := get(t, url+"?format=html")
	return body
}

func TestCalledWrongly(t *testing.T) {
	empty, control := written(t, nil), written(t, []byte("one\x00two\n"))
	for _, c := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"nothing", "", 2, "usage: geerpc COMMAND"},
		{"unknown command", "serve", 2, `no command "serve"`},
		{"help", "help", 0, "registry "},
		{"help for a command", "registry -h", 0, "-token-file"},
		{"unknown flag", "registry -port 1", 2, "-port"},
		{"an argument", "registry 9999", 2, "only flags"},
		{"a path without a slash", "registry -path servers", 2, "slash"},
		{"bad address", "registry -addr 127.0.0.1:x", 1, "unknown port"},
		{"no such file", "registry -addr 127.0.0.1:0 -token-file " + empty + "/x", 1, empty + "/x"},
		{"a certificate without a key", "registry -cert-file " + empty, 2, "go together"},
		{"a key without a certificate", "registry -key-file " + empty, 2, "go together"},
		{"no certificate in the file", "registry -addr 127.0.0.1:0 -cert-file " + empty + " -key-file " + empty, 1, empty + ": tls: failed to find any PEM data"},
		{"a token that nobody could present", "registry -addr 127.0.0.1:0 -token-file " + control, 1, "one line"},
		{"a path that is a bad pattern", "registry -path /{", 2, "plain path"},
		{"a path that is a pattern", "registry -path /{x}", 2, "plain path"},
		{"a path with a query", "registry -path /a?b", 2, "plain path"},
		{"a path that is escaped", "registry -path /%61", 2, "plain path"},
		{"a path that no request has", "registry -path /a/../b", 2, "plain path"},
		{"a path that ends with a slash", "registry -path /a/", 2, "plain path"},
		{"a path with two slashes", "registry -path //a", 2, "plain path"},
		{"the path of the health check", "registry -path /healthz", 2, "plain path"},
		{"no token in the file", "registry -addr 127.0.0.1:0 -token-file " + empty, 1, "no token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var said bytes.Buffer
			code := run(ctx, strings.Fields(c.args), stdio{strings.NewReader(""), &said, &said})
			if code != c.code || !strings.Contains(said.String(), c.want) {
				t.Errorf("code %d, want %d; said %q, want %q in it", code, c.code, &said, c.want)
			}
			if strings.Contains(fmt.Sprint(&said), "registry: http://") {
				t.Error("it has begun to serve")
			}
		})
	}
}

// TestF216_BodyThatNeverComes, on whatever path: the connection is closed in time.
func TestF216_BodyThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := geerpc.NewPipeListener()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- serveRegistry(ctx, lis, "/servers", registry.New(0), slog.New(slog.DiscardHandler)) }()
		for _, line := range []string{"GET /healthz", "GET /", "GET /nowhere", "POST /healthz", "GET /servers"} {
			conn, err := lis.DialContext(t.Context(), "pipe", "registry")
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: registry\r\nContent-Length: 10\r\n\r\n", line)
			conn.SetReadDeadline(begin.Add(bodyTimeout + 10*time.Second))
			if got, err := io.ReadAll(conn); err != nil {
				t.Errorf("%s: %q, %v", line, got, err)
			}
			conn.Close()
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
