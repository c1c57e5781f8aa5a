package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"geerpc/codec"
)

func TestError_IsAsUnwrap(t *testing.T) {
	on := func(err error) error { return (&Client{server: "tcp@10.0.0.1:9999"}).named(err, "Arith.Add", 0) }
	cases := []struct {
		name string
		err  error
		is   []error
		not  []error
		code Code
		text string
	}{
		{"deadline by its code", &Error{Code: CodeDeadlineExceeded, Message: "too late"},
			[]error{context.DeadlineExceeded}, []error{context.Canceled, io.EOF, ErrShutdown}, CodeDeadlineExceeded, "too late"},
		{"cancelled by its code", &Error{Code: CodeCanceled},
			[]error{context.Canceled}, []error{context.DeadlineExceeded}, CodeCanceled, "canceled"},
		{"wrapped", fmt.Errorf("outer: %w", &Error{Code: CodeCanceled, Message: "inner"}),
			[]error{context.Canceled}, nil, CodeCanceled, "outer: inner"},
		{"cause", newError(CodeUnavailable, OnLink, RanMaybe, "rpc client", io.ErrUnexpectedEOF),
			[]error{io.ErrUnexpectedEOF}, []error{io.EOF}, CodeUnavailable, "rpc client: unexpected EOF"},
		{"cause of a user's own", &Error{Code: CodeUnavailable, Message: "closed for the night", Cause: io.ErrNoProgress},
			[]error{io.ErrNoProgress}, []error{io.EOF}, CodeUnavailable, "closed for the night"},
		{"lost by Close", on(lostError(ErrShutdown)), []error{ErrShutdown}, []error{io.EOF}, CodeUnavailable, "rpc client: Arith.Add at tcp@10.0.0.1:9999: connection is shut down"},
		{"lost at the end of the stream", on(lostError(io.EOF)), []error{io.ErrUnexpectedEOF}, []error{io.EOF, ErrShutdown},
			CodeUnavailable, "rpc client: Arith.Add at tcp@10.0.0.1:9999: connection lost: unexpected EOF"},
		{"lost, to nobody knows whom", (&Client{}).named(lostError(io.EOF), "Arith.Add", 0), nil, nil,
			CodeUnavailable, "rpc client: Arith.Add: connection lost: unexpected EOF"},
		{"shutdown", ErrShutdown, []error{ErrShutdown}, []error{ErrServerClosed}, CodeUnavailable, "connection is shut down"},
		{"of a method", Errorf(CodeNotFound, "no %q: %w", "it", io.EOF), []error{io.EOF}, nil, CodeNotFound, `no "it": EOF`},
		{"of a context", fmt.Errorf("x: %w", context.DeadlineExceeded), []error{context.DeadlineExceeded}, nil, CodeDeadlineExceeded, "x: context deadline exceeded"},
		{"of a context, cancelled", context.Canceled, nil, nil, CodeCanceled, "context canceled"},
		{"anything", io.EOF, nil, nil, CodeUnknown, "EOF"},
		{"percent signs", &Error{Code: CodeUnknown, Message: "100% of load %s %d"}, nil, nil, CodeUnknown, "100% of load %s %d"},
		{"no text", &Error{Code: CodeDataLoss}, nil, nil, CodeDataLoss, "data loss"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, target := range c.is {
				if !errors.Is(c.err, target) {
					t.Errorf("is not %v", target)
				}
			}
			for _, target := range c.not {
				if errors.Is(c.err, target) {
					t.Errorf("is %v", target)
				}
			}
			if got := CodeOf(c.err); got != c.code {
				t.Errorf("code is %v, want %v", got, c.code)
			}
			if c.err.Error() != c.text {
				t.Errorf("text is %q, want %q", c.err, c.text)
			}
		})
	}
	if CodeOf(nil) != CodeOK {
		t.Error("no error has a code")
	}
}

func TestCode_Strings(t *testing.T) {
	cases := map[string]fmt.Stringer{
		"ok": CodeOK, "canceled": CodeCanceled, "deadline exceeded": CodeDeadlineExceeded, "resource exhausted": CodeResourceExhausted,
		"unimplemented": CodeUnimplemented, "data loss": CodeDataLoss, "unauthenticated": CodeUnauthenticated, "code(17)": Code(17), "code(255)": Code(255),
		"in the client": InClient, "on the link": OnLink, "in the server": InServer, "in the method": InMethod, "where(9)": Where(9),
		"never": RanNever, "maybe": RanMaybe, "yes": RanYes, "ran(3)": Ran(3),
	}
	for want, v := range cases {
		if v.String() != want {
			t.Errorf("%#v is %q, want %q", v, v, want)
		}
	}
	// The numbers are those of gRPC, and on the wire.
	if CodeCanceled != 1 || CodeDeadlineExceeded != 4 || CodeResourceExhausted != 8 || CodeUnavailable != 14 || CodeUnauthenticated != 16 {
		t.Error("a code has another number")
	}
}

// TestError_OverTheWire puts errors into the header of a reply and takes them
// out again, on both wires.
func TestError_OverTheWire(t *testing.T) {
	cases := []struct {
		name     string
		in       error
		extended *Error
	}{
		{"plain error", io.EOF, &Error{Code: CodeUnknown, Message: "EOF", Where: InMethod, Ran: RanYes}},
		{"with a code", Errorf(CodeAborted, "conflict"), &Error{Code: CodeAborted, Message: "conflict", Where: InMethod, Ran: RanYes}},
		{"wrapped, the text outside counts", fmt.Errorf("deposit: %w", Errorf(CodeAborted, "conflict")),
			&Error{Code: CodeAborted, Message: "deposit: conflict", Where: InMethod, Ran: RanYes}},
		{"context's", context.Canceled, &Error{Code: CodeCanceled, Message: "context canceled", Where: InMethod, Ran: RanYes}},
		{"empty text, which would be success", errors.New(""), &Error{Code: CodeUnknown, Message: "unknown", Where: InMethod, Ran: RanYes}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var h codec.Header
			asError(c.in).put(&h)
			var got *Error
			if err := replyError(&h); !errors.As(err, &got) {
				t.Fatalf("extended: %v", err)
			}
			if got.Code != c.extended.Code || got.Message != c.extended.Message || got.Where != c.extended.Where || got.Ran != c.extended.Ran {
				t.Errorf("extended: %+v, want %+v", got, c.extended)
			}
			old := codec.Header{Error: h.Error} // all that crosses the old wire
			if err := replyError(&old); err == nil || err.Error() != h.Error {
				t.Errorf("old wire: %v, want %q", err, h.Error)
			}
		})
	}
	if err := replyError(&codec.Header{Error: "broken"}); CodeOf(err) != CodeUnknown || err.Error() != "broken" {
		t.Errorf("a text without a code, as a peer may send it: %v, code %v", err, CodeOf(err))
	}
	if err := replyError(&codec.Header{}); err != nil {
		t.Errorf("a reply without an error: %v", err)
	}
}

// An error on the wire that has no code is one all the same.
func TestError_FlagWithoutCode(t *testing.T) {
	c, p := handServer(t, nil)
	go func() {
		p.next()
		p.conn.Write([]byte{0, 0, 0, 7, 1, 4, 1, 0, 2, 1, 0})
	}()
	wantError(t, c.Call(t.Context(), "Arith.Add", Args{}, nil), CodeUnknown, Where(2), Ran(1))
}
