package handshake

import (
	"encoding/json"
	"math"
	"testing"
)

// Limits are read as other languages write them: as floats, and as numbers that
// are too large for 64 bits.
func TestB133_LimitNumbers(t *testing.T) {
	for text, want := range map[string]Limit{"0": 0, "-1": -1, "4194304": 4 << 20, "4194304.0": 4 << 20, "1e6": 1000000,
		"9223372036854775807": math.MaxInt64, "9223372036854775808": -1, "1e30": -1, "1e999": -1, "-1e30": -1, "null": 0} {
		var h Hello
		if err := json.Unmarshal([]byte(`{"MaxMessageBytes":`+text+`}`), &h); err != nil || h.MaxMessageBytes != want {
			t.Errorf("%s is read as %d, %v, want %d", text, h.MaxMessageBytes, err, want)
		}
	}
	for limit, want := range map[Limit]int64{0: 0, -1: 0, 5: 5, 3 << 30: 3 << 30, math.MaxInt64: math.MaxInt64} {
		if got := limit.Int(); int64(got) != min(want, math.MaxInt) {
			t.Errorf("%d bytes are taken for %d", limit, got)
		}
	}
}

// A limit of definitions is announced relative to the default, and read back as it
// was.
func TestB135_DefinitionsUnannounced(t *testing.T) {
	for announced, want := range map[Limit]int{0: 64 << 10, -1: 0, 5: 5, 1 << 30: 1 << 30} {
		if got := acceptedDefinitions(announced); got != want {
			t.Errorf("%d means %d, want %d", announced, got, want)
		}
		if got := announceDefinitions(want); got != announced {
			t.Errorf("%d is announced as %d, want %d", want, got, announced)
		}
	}
}
