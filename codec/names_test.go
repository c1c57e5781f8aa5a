package codec

import (
	"fmt"
	"testing"
)

// TestNames_Allocations: names that are called in turn, or over and over, are not
// allocated again.
func TestNames_Allocations(t *testing.T) {
	for _, count := range []int{1, 2, 3, maxNames} {
		var called [][]byte
		for i := range count {
			called = append(called, fmt.Appendf(nil, "Service.Method%d", i))
		}
		var n names
		call := func() {
			for _, name := range called {
				if got := n.name(name); got != string(name) {
					t.Fatalf("%q became %q", name, got)
				}
			}
		}
		call()
		if got := testing.AllocsPerRun(10, call); got > 0 {
			t.Errorf("%d names: %v allocations", count, got)
		}
		if count == 1 && n.known != nil {
			t.Error("one name has a map")
		}
	}
}
