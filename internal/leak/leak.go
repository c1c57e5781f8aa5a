// Package leak fails a package's tests if they leave goroutines behind.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long goroutines that are about to end have for it.
const patience = 5 * time.Second

// Main runs the tests and exits; it is all that most TestMains have to do.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run runs the tests, and returns the exit code.
func Run(m *testing.M) (code int) {
	code = m.Run()
	if stacks := Goroutines(patience); code == 0 && stacks != "" {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", stacks)
		code = 1
	}
	return code
}

// Goroutines waits, for at most limit, until no goroutine but the caller's has
// anything to do with geerpc, and returns the stacks of those that are left.
func Goroutines(limit time.Duration) string {
	for deadline := time.Now().Add(limit); ; {
		left := ours()
		if left == "" || time.Now().After(deadline) {
			return left
		}
		<-time.After(10 * time.Millisecond)
	}
}

// ours returns the stacks that have a function of this module in them.
func ours() string {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var left []string
	for _, stack := range stacks[1:] { // the first is the caller's own
		if strings.Contains(stack, "geerpc") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}
