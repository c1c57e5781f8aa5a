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

func TestDetail_Numbers(t *testing.T) {
	for code := range Unauthenticated + 1 {
		where, ran := code%4, code%3
		if c, w, r, ok := DetailOf(code, where, ran).Numbers(); !ok || c != code || w != where || r != ran {
			t.Errorf("%d, %d, %d became %d, %d, %d, %v", code, where, ran, c, w, r, ok)
		}
	}
	for _, d := range []Detail{{}, {"not_found", "server", ""}, {"not found", "server", "never"}, DetailOf(99, 0, 0)} {
		if _, _, _, ok := d.Numbers(); ok {
			t.Errorf("%+v is taken for one of ours", d)
		}
	}
}
