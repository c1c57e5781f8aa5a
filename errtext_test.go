package geerpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"geerpc/codec"
)

// C23: a method's error arrives with its exact text, whatever is in it.
func TestC23_ErrorTexts(t *testing.T) {
	texts := map[string]string{
		"percent": "100% of load %d %s %!", "newline": "one\ntwo\r\n", "nul": "a\x00b", "tab": "\t", "blank": " ",
		"html": "<script>&amp;</script>", "separators": "\u2028\u2029", "unicode": "löschen 🙂", "quote": `"\"`,
		"1 MiB": strings.Repeat("x", 1<<20), "like nothing": "null", "braces": "}{][",
	}
	for _, transport := range []string{"pipe", "tcp"} {
		for _, c := range codecs {
			for name, text := range texts {
				t.Run(transport+"/"+string(c)+"/"+name, func(t *testing.T) {
					e := newEnv(t, transport, c)
					RegisterFunc(e.Server, "Test.Fail", func(context.Context, Args) (Reply, error) { return Reply{}, errors.New(text) })
					client := e.dial(nil)
					err := client.Call(context.Background(), "Test.Fail", Args{}, nil)
					wantError(t, err, CodeUnknown, InMethod, RanYes)
					if err.Error() != text {
						t.Errorf("text is %.100q", err)
					}
					var reply Reply
					if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
						t.Errorf("the next call: %d, %v", reply.C, err)
					}
				})
			}
		}
	}
}

// C23: bytes that are no UTF-8 arrive as they are where the layout is binary.
// An error without a text is an error, and one over the limit is told so.
func TestC23_OddErrorTexts(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			for name, text := range map[string]string{"Binary": "\xff\xfe", "Empty": "", "Huge": strings.Repeat("x", 5<<20)} {
				RegisterFunc(e.Server, "Test."+name, func(context.Context, Args) (Reply, error) { return Reply{}, errors.New(text) })
			}
			client := e.dial(nil)
			err := client.Call(context.Background(), "Test.Binary", Args{}, nil)
			wantError(t, err, CodeUnknown, InMethod, RanYes)
			if want := "\xff\xfe"; err.Error() != want && c != codec.JsonType {
				t.Errorf("text is %q", err)
			}
			wantError(t, client.Call(context.Background(), "Test.Empty", Args{}, nil), CodeUnknown, InMethod, RanYes)
			wantError(t, client.Call(context.Background(), "Test.Huge", Args{}, nil), CodeResourceExhausted, InMethod, RanYes)
			if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, nil); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

// A nilError panics when it is asked for its text, as errors do that are a nil
// pointer in an interface.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// Codes travel, texts stay, and what a method's error says about where it
// failed and what ran is about this call and not about one that the method
// made.
func TestErrors_OfMethods(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code Code
		text string
		is   error
	}{
		{"Plain", errors.New("plain"), CodeUnknown, "plain", nil},
		{"Coded", Errorf(CodeFailedPrecondition, "state %d%%", 5), CodeFailedPrecondition, "state 5%", nil},
		{"Wrapping", Errorf(CodeDataLoss, "file: %w", io.ErrUnexpectedEOF), CodeDataLoss, "file: unexpected EOF", nil},
		{"Wrapped", fmt.Errorf("outer: %w", Errorf(CodeAlreadyExists, "inner")), CodeAlreadyExists, "outer: inner", nil},
		{"Literal", &Error{Code: CodeOutOfRange, Message: "literal"}, CodeOutOfRange, "literal", nil},
		{"Bare", &Error{Code: CodeAborted}, CodeAborted, "aborted", nil},
		{"Codeless", &Error{Message: "codeless"}, CodeUnknown, "codeless", nil},
		{"Joined", errors.Join(errors.New("one"), Errorf(CodePermissionDenied, "two")), CodePermissionDenied, "one\ntwo", nil},
		{"Deadline", fmt.Errorf("disk: %w", context.DeadlineExceeded), CodeDeadlineExceeded, "disk: context deadline exceeded", context.DeadlineExceeded},
		{"Canceled", context.Canceled, CodeCanceled, "context canceled", context.Canceled},
		{"Nested", newError(CodeUnavailable, OnLink, RanNever, "downstream", ErrShutdown), CodeUnavailable, "downstream: connection is shut down", nil},
		{"NestedWrapped", fmt.Errorf("asking: %w", &Error{Code: CodeUnavailable, Message: "full", Where: InServer, Ran: RanNever}), CodeUnavailable, "asking: full", nil},
	}
	interceptors := map[string][]Interceptor{"bare": nil, "intercepted": {new(trail).interceptor("x")}}
	for how, chain := range interceptors {
		for _, c := range codecs {
			t.Run(how+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, "pipe", c)
				e.Interceptors = chain
				for _, test := range tests {
					RegisterFunc(e.Server, "Test."+test.name, func(context.Context, Args) (Reply, error) { return Reply{}, test.err })
				}
				client := e.dial(nil)
				for _, test := range tests {
					t.Run(test.name, func(t *testing.T) {
						err := client.Call(context.Background(), "Test."+test.name, Args{}, nil)
						wantError(t, err, test.code, InMethod, RanYes)
						if err.Error() != test.text {
							t.Errorf("text is %q, want %q", err, test.text)
						}
						if test.is != nil && !errors.Is(err, test.is) {
							t.Errorf("%v is not %v", err, test.is)
						}
					})
				}
			})
		}
	}
}

// A4, in the error itself: what it does when it is asked for its text ends the
// call and not the process.
func TestA4_ErrorThatPanics(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "pipe", c)
			RegisterFunc(e.Server, "Test.Nil", func(context.Context, Args) (Reply, error) {
				var err *nilError
				return Reply{}, err
			})
			client := e.dial(nil)
			wantError(t, client.Call(context.Background(), "Test.Nil", Args{}, nil), CodeInternal, InMethod, RanYes)
			if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, nil); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

// An interceptor's own error says for itself whether the method ran.
func TestErrors_OfInterceptors(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	e.Interceptors = []Interceptor{intercept(func(context.Context, CallFunc, string, any, any) error {
		return &Error{Code: CodeResourceExhausted, Message: "slow down", Where: InServer, Ran: RanNever}
	})}
	wantError(t, e.dial(nil).Call(context.Background(), "Arith.Add", Args{}, nil), CodeResourceExhausted, InServer, RanNever)
}
