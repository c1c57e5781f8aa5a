package leak

import (
	"strings"
	"testing"
	"time"
)

// linger is a goroutine that somebody forgot.
func linger(begun, end chan struct{}) {
	close(begun)
	<-end
}

func TestGoroutines(t *testing.T) {
	// Those of the test itself are there all the time: only look for linger.
	begun, end := make(chan struct{}), make(chan struct{})
	go linger(begun, end)
	<-begun
	if left := Goroutines(0); !strings.Contains(left, "leak.linger") {
		t.Fatalf("the goroutine is not found, only %q", left)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(end) })
	if left := Goroutines(5 * time.Second); strings.Contains(left, "leak.linger") {
		t.Fatalf("no time was given to end: %q", left)
	}
}
