package leak

import (
	"strings"
	"testing"
	"time"
)

// linger is a goroutine that somebody forgot.
func linger(end chan struct{}) { <-end }

func TestGoroutines(t *testing.T) {
	// Those of the test itself are there all the time: only look for linger.
	end := make(chan struct{})
	go linger(end)
	if left := Goroutines(0); !strings.Contains(left, "leak.linger") {
		t.Fatalf("the goroutine is not found, only %q", left)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(end) })
	if left := Goroutines(5 * time.Second); strings.Contains(left, "leak.linger") {
		t.Fatalf("no time was given to end: %q", left)
	}
}
