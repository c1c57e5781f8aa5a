package hashring

import (
	"fmt"
	"testing"
)

// TestRing_OnlyKeysOfTheLeaverMove: a ring that skips a server finds what a ring
// without it finds, and the other keys stay.
func TestRing_OnlyKeysOfTheLeaverMove(t *testing.T) {
	servers := []Server{{"a", 1}, {"b", 2}, {"c", 1}, {"d", 300}}
	full, without := New(servers), New(servers[1:])
	moved := 0
	for i := range 10_000 {
		key := Hash(fmt.Sprint(i))
		before := full.Find(key, func(int) bool { return false })
		after := without.Find(key, func(int) bool { return false }) + 1
		if before != 0 && before != after {
			t.Fatalf("key %d moved from %d to %d", i, before, after)
		}
		if skipped := full.Find(key, func(s int) bool { return s == 0 }); skipped != after {
			t.Fatalf("key %d: %d when 0 is skipped, %d when it is gone", i, skipped, after)
		}
		if before == 0 {
			moved++
		}
	}
	if moved == 0 {
		t.Error("the server that left had no keys")
	}
	if none := full.Find(1, func(int) bool { return true }); none != -1 {
		t.Errorf("with all servers skipped the key belongs to %d", none)
	}
	if share := full.Share(3); share != 250.0/254 {
		t.Errorf("a weight of 300 has a share of %v, not that of 250", share)
	}
}
