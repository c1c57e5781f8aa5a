package codes

import "testing"

func TestDetailOf(t *testing.T) {
	for _, c := range []struct {
		code, where, ran uint8
		want             Detail
	}{
		{DeadlineExceeded, 3, 0, Detail{"deadline_exceeded", "method", "maybe"}},
		{NotFound, 2, 1, Detail{"not_found", "server", "never"}},
		{Unauthenticated, 1, 2, Detail{"unauthenticated", "link", "yes"}},
		{99, 99, 99, Detail{"code(99)", "where(99)", "ran(99)"}},
	} {
		if got := DetailOf(c.code, c.where, c.ran); got != c.want {
			t.Errorf("%d, %d, %d: %+v, want %+v", c.code, c.where, c.ran, got, c.want)
		}
	}
}
