package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc/internal/leak"
	"geerpc/registry"
)

func TestMain(m *testing.M) { leak.Main(m) }

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

// TestRegistry runs one: a server registers, a caller watches, and it ends
// when it is told to, in the middle of a watch.
func TestRegistry(t *testing.T) {
	const token = "t0ken"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log buffer
	pr, pw := io.Pipe()
	code := make(chan int, 1)
	go func() { // ends with ctx; code tells
		code <- run(ctx, []string{"registry", "-addr", "127.0.0.1:0", "-path", "/servers", "-token-file", file, "-grace", "-1s"}, pw, &log)
		pw.Close()
	}()
	line, err := bufio.NewReader(pr).ReadString('\n')
	url := strings.TrimSpace(strings.TrimPrefix(line, "registry: "))
	if err != nil || !strings.HasPrefix(url, "http://127.0.0.1:") || !strings.HasSuffix(url, "/servers") {
		t.Fatalf("it says %q, %v; log:\n%s", line, err, &log)
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
	if resp, err := client.Get(strings.TrimSuffix(url, "servers")); err != nil || resp.Request.URL.Path != "/servers" {
		t.Errorf("the root does not lead to the registry: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	if err := reg.Close(); err != nil {
		t.Error(err)
	}
	watching := make(chan string, 1)
	index, _ := get(t, url+"?format=json")
	go func() { // ends with the answer, which the test waits for
		_, body := get(t, url+"?format=json&wait=60s&index="+index)
		watching <- body
	}()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(page(t, url), "<dt>Watching</dt><dd>1</dd>"); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody watches")
		}
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d; log:\n%s", got, &log)
	}
	if body := <-watching; !strings.Contains(body, `"servers":[]`) {
		t.Errorf("the watch was answered %q", body)
	}
	for _, want := range []string{"registry: serving", "server registered", "server left", "registry: stopping", "registry: stopped"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), token) {
		t.Error("the token is in the log")
	}
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
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"nothing", "", 2, "usage: geerpc <command>"},
		{"unknown command", "serve", 2, `no command "serve"`},
		{"help", "help", 0, "registry "},
		{"help for a command", "registry -h", 0, "-token-file"},
		{"unknown flag", "registry -port 1", 2, "-port"},
		{"an argument", "registry 9999", 2, "-addr"},
		{"a path without a slash", "registry -path servers", 2, "slash"},
		{"bad address", "registry -addr 127.0.0.1:x", 1, "unknown port"},
		{"no such file", "registry -addr 127.0.0.1:0 -token-file " + empty + "/x", 1, "empty/x"},
		{"no token in the file", "registry -addr 127.0.0.1:0 -token-file " + empty, 1, "no token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var said bytes.Buffer
			code := run(ctx, strings.Fields(c.args), &said, &said)
			if code != c.code || !strings.Contains(said.String(), c.want) {
				t.Errorf("code %d, want %d; said %q, want %q in it", code, c.code, &said, c.want)
			}
			if strings.Contains(fmt.Sprint(&said), "registry: http://") {
				t.Error("it has begun to serve")
			}
		})
	}
}
