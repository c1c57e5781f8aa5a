package usercode

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A trap is a value, and an error, whose methods do something else.
type trap func()

func (f trap) String() string  { f(); return "harmless" }
func (f trap) Error() string   { f(); return "harmless" }
func (f trap) Is(error) bool   { f(); return false }
func (f trap) As(any) bool     { f(); return false }
func (f trap) Timeout() bool   { f(); return false }
func (f trap) Temporary() bool { f(); return false }

// A stringer is a value that is no error.
type stringer func()

func (f stringer) String() string { f(); return "harmless" }

func panics() { panic("trapped") }

func TestPanicText(t *testing.T) {
	for _, c := range []struct {
		name string
		p    any
		want string
	}{
		{"a string", "no ink", "no ink"},
		{"a number", 7, "7"},
		{"an error", io.EOF, "EOF"},
		{"a struct", struct{ A, B int }{1, 2}, "{1 2}"},
		{"a stringer", stringer(func() {}), "harmless"},
		{"an error that exits", trap(runtime.Goexit), "usercode.trap, whose Error method ended its goroutine"},
		{"a stringer that exits", stringer(runtime.Goexit), "usercode.stringer, whose String method ended its goroutine"},
		{"an error that blocks", trap(func() { time.Sleep(time.Minute) }), "usercode.trap, whose Error method does not return"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := PanicText(c.p); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
				time.Sleep(time.Hour) // in the bubble: what blocks returns
			})
		})
	}
	if got := PanicText(errors.New(strings.Repeat("x", 5000))); len(got) != maxPanicText {
		t.Errorf("%d bytes of a long text", len(got))
	}
}

// The stand-in for an error has its text, and panics no more.
func TestError(t *testing.T) {
	for _, harmless := range []error{nil, io.EOF, context.Canceled, &PanicError{}} {
		if got := Error(harmless); got != harmless {
			t.Errorf("%v has a stand-in", harmless)
		}
	}
	trapped := Error(trap(panics))
	if text := trapped.Error(); text != "usercode.trap, whose Error method panicked" {
		t.Error(text)
	}
	if errors.Is(trapped, io.EOF) {
		t.Error("it is io.EOF")
	}
	known := Error(&wrapped{io.ErrShortWrite})
	if target := new(wrapped); !errors.Is(known, io.ErrShortWrite) || !errors.As(known, &target) || known.Error() != "wrapped" {
		t.Errorf("%v is not what it stands for", known)
	}
}

type wrapped struct{ err error }

func (*wrapped) Error() string   { return "wrapped" }
func (w *wrapped) Unwrap() error { return w.err }

func TestErrorText(t *testing.T) {
	if text := ErrorText(trap(panics)); text != "usercode.trap, whose Error method panicked: trapped" {
		t.Error(text)
	}
}

func TestRecover(t *testing.T) {
	err := func() (err error) {
		defer Recover("the test", &err)
		panic("no ink")
	}()
	if p, ok := err.(*PanicError); !ok || p.Error() != "the test panicked: no ink" || len(p.Stack) == 0 {
		t.Errorf("%v", err)
	}
}

// Functions that panic or hang hold up nobody beyond the context.
func TestSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := make(chan string, 1)
		report := func(_ slog.Level, text string, _ ...any) { said <- text }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := SideBySide(ctx, report, "a hook", []func(){panics, func() {}}); err != nil {
			t.Error(err)
		}
		if text := <-said; text != "rpc: a hook panicked" {
			t.Error(text)
		}
		gate := make(chan struct{})
		if err := SideBySide(ctx, report, "a hook", []func(){func() { <-gate }}); err != context.DeadlineExceeded {
			t.Error(err)
		}
		close(gate)
	})
}
