package debugpage

import "testing"

func TestFormatPercent(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatPercent(0, 0), "0.0 %"}, {formatPercent(1, 1_000_000), "< 0.1 %"}, {formatPercent(1, 40), "2.5 %"}, {formatPercent(3, 3), "100 %"}, {formatPercent(999, 1000), "99.9 %"}, {formatPercent(99999, 100000), "99.9 %"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
