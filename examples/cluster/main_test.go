package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"geerpc/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// runLimit ends a run in which something hangs.
const runLimit = 60 * time.Second

// build returns the program. It is built without the race detector, as users
// do: five processes would be five times as slow.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "cluster.exe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestD38_F58_ServersAndRegistryRestart runs the whole show, quickly: servers and registry are killed,
// drained and restarted, and the promise is kept.
func TestD38_F58_ServersAndRegistryRestart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, build(t), "-seconds", "1", "-rate", "1500")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	t.Logf("\n%s%s", &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	if errs.Len() > 0 {
		t.Error("something was written to standard error")
	}
	for _, phase := range phases {
		// No phase is without calls; nothing but calls of the kill fails.
		row := regexp.MustCompile(`(?m)^` + phase.name + ` +[1-9]\d+ +0 +(\d+) +(\d+) +0 +\d+\.\d ms +\d+\.\d ms +\d+\.\d ms$`)
		m := row.FindStringSubmatch(out.String())
		if m == nil {
			t.Errorf("the table has no row like %s", row)
		} else if m[1] != m[2] || phase.name != kill && m[1] != "0" {
			t.Errorf("%s: %s other calls failed, of which %s may have run", phase.name, m[1], m[2])
		}
	}
	if !strings.HasSuffix(out.String(), "\nThe promise was kept.\n") {
		t.Error("no good end")
	}
	// What is to be seen is said before it happens.
	before, _, _ := strings.Cut(out.String(), "registry on http://")
	for _, want := range []string{promised, legend, "64 callers make 1500 calls a second", "registry.go", "server.go", "caller.go"} {
		if !strings.Contains(before, want) {
			t.Errorf("it does not begin with %q", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("line too long for a terminal: %d", n)
		}
	}
}

// TestBadArguments: the exit code tells.
func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"-seconds", "0"}, {"-rate", "-1"}, {"nonsense"}} {
		if err := runShow(args); err == nil || !strings.Contains(err.Error(), "bad arguments") {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// TestStartFails: a process that ends before it listens is an error, and what
// it says is not taken for an address.
func TestStartFails(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), build(t), "registry", "-addr", "nowhere:at:all")
	var exit *exec.ExitError
	if out, err := cmd.Output(); !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) > 0 {
		t.Errorf("%v, %q", err, out)
	}
}
