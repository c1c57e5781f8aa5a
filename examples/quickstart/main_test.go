package main

import (
	"bytes"
	"context"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"geerpc/xclient"
)

// TestRun makes the whole tour: what a newcomer sees first must hold.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, stop := range stops {
		if !strings.Contains(out.String(), ". "+stop.title+" ("+stop.file+")\n   ") {
			t.Errorf("nothing is said under %q", stop.title)
		}
		show := runtime.FuncForPC(reflect.ValueOf(stop.show).Pointer())
		if file, _ := show.FileLine(show.Entry()); filepath.Base(file) != stop.file {
			t.Errorf("%q is in %s, not in %s", stop.title, file, stop.file)
		}
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 130 {
			t.Errorf("line too long for a terminal: %s", line)
		}
	}
	if !strings.HasSuffix(out.String(), "\nAll as expected.\n") {
		t.Errorf("no good end: %s", &out)
	}
}

// TestServerFails: a server that does not serve ends the wait for it.
func TestServerFails(t *testing.T) {
	town := newTown()
	defer town.close()
	town.url = "nowhere"
	if err := town.add("north"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := town.listed(ctx, xclient.NewMultiServerDiscovery(nil), 1)
	if err == nil || !strings.Contains(err.Error(), "north: rpc registry: Config.Registries") {
		t.Errorf("error is %v", err)
	}
}
