package debugpage

import "testing"

func TestArea(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{area([]float64{0, 0}), ""},
		{area([]float64{1, 0.0001}), "M0 24L0.0 1.0L60.0 1.0L60.0 23.0L120.0 23.0L120 24Z"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
