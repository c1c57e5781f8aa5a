package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"geerpc/internal/leak"
)

// TestMain has the test's program be the commands that the demo starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		main()
		return
	}
	leak.Main(m)
}

// TestDemo sees each part at work, with a server in a process of its own.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	if err := show(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, part := range parts {
		if !strings.Contains(out.String(), ". "+part.title+"\n   ") {
			t.Errorf("nothing is said under %q", part.title)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > width+1 {
			t.Errorf("line too long for a terminal: %s", line)
		}
	}
	if !strings.HasSuffix(out.String(), "\nAll as expected.\n") {
		t.Errorf("no good end: %s", &out)
	}
}

// TestShort holds what is said of the code that is there to be copied.
func TestShort(t *testing.T) {
	lines := 0
	for _, file := range []string{"server.go", "client.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(text, []byte("\n"))
	}
	if lines >= 120 {
		t.Errorf("server.go and client.go have %d lines, not less than 120", lines)
	}
}

// TestServerFails: a server that can't serve ends, and nobody waits for it.
func TestServerFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := startServer(ctx, t.TempDir(), "token")
	if err == nil || !strings.Contains(err.Error(), "does not serve") || ctx.Err() != nil {
		t.Errorf("error is %v", err)
	}
}

// TestCerts: a folder that is there stays as it is.
func TestCerts(t *testing.T) {
	dir := t.TempDir()
	if err := runCerts([]string{dir}); err == nil {
		t.Error("certificates were written to a folder that was there")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
}

// TestLogbook_Find: a line is found if it has all the attributes, whenever it comes and
// in however many pieces. A line that is not JSON is reported.
func TestLogbook_Find(t *testing.T) {
	b := newLogbook()
	found := make(chan line, 1)
	go func() { // ends with the line
		l, err := b.find(t.Context(), "msg", "span", "server", true)
		if err != nil {
			t.Error(err)
		}
		found <- l
	}()
	text := `{"msg":"span","server":false,"n":"1"}` + "\n" + `{"msg":"span","server":true,"n":"2"}` + "\n"
	for piece := range slices.Chunk([]byte(text), 7) {
		b.Write(piece)
	}
	if l := <-found; l.text("n") != "2" {
		t.Errorf("found %v", l)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.find(gone, "msg", "more"); err == nil || !strings.Contains(err.Error(), "n:2") {
		t.Errorf("error is %v", err)
	}
	b.Write([]byte("panic: oh\n"))
	if _, err := b.find(t.Context(), "msg", "more"); err == nil || !strings.Contains(err.Error(), "panic: oh") {
		t.Errorf("error is %v", err)
	}
}
