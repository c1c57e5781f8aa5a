package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestRun makes the whole tour: what a newcomer sees first must hold.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, stop := range stops {
		if !strings.Contains(out.String(), ". "+stop.title+"\n   ") {
			t.Errorf("nothing is said under %q", stop.title)
		}
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 110 {
			t.Errorf("line too long for a terminal: %s", line)
		}
	}
	if !strings.HasSuffix(out.String(), "\nAll as expected.\n") {
		t.Errorf("no good end: %s", &out)
	}
}
