package geerpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"geerpc/codec"
)

// A client that takes small messages only is told what went wrong all the same,
// with as much of the text as fits, whichever way the answer goes. The
// connection stays.
func TestC139_AnswerIsCutToTheLimit(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.MaxInFlight, e.HandleTimeout = 1, 0
		service := &Turnstile{gate: make(chan struct{})}
		if err := e.RegisterName("Test", service); err != nil {
			t.Fatal(err)
		}
		RegisterFunc(e.Server, "Test.Fail", func(ctx context.Context, _ Args) (Reply, error) {
			SetReplyMetadata(ctx, "why", strings.Repeat("m", 1000))
			return Reply{}, Errorf(CodeAborted, "%s", strings.Repeat("é", 1000))
		})
		RegisterFunc(e.Server, "Test.Large", func(context.Context, Args) (string, error) { return strings.Repeat("x", 1000), nil })
		for _, limit := range []int{60, 100, 200, 400} {
			if limit == 60 && e.codec == codec.JsonType {
				continue // there even the names of the fields need more
			}
			client := e.dial(&Option{MaxMessageBytes: limit})
			client.inFlight.SetLimit(0) // the client does not know the server's
			want := func(name string, err error, code Code, where Where, ran Ran) {
				t.Helper()
				var typed *Error
				if errors.As(err, &typed) && (len(typed.Message) >= limit || !utf8.ValidString(typed.Message)) {
					t.Errorf("limit %d, %s: the text is %d bytes: %q", limit, name, len(typed.Message), typed.Message)
				}
				if !errors.As(err, &typed) || typed.Code != code || typed.Where != where || typed.Ran != ran {
					t.Fatalf("limit %d, %s: %v", limit, name, err)
				}
			}
			call := func(name string) error {
				var s string
				return client.Call(t.Context(), name, Args{}, &s)
			}
			long := "Test." + strings.Repeat("é", 400)
			want("unknown", call(long), CodeNotFound, InServer, RanNever)
			want("failed", call("Test.Fail"), CodeResourceExhausted, InMethod, RanYes)
			want("too large", call("Test.Large"), CodeResourceExhausted, InMethod, RanYes)
			want("bad arguments", client.Call(t.Context(), "Arith.Add", "x", nil), CodeInvalidArgument, InServer, RanNever)
			held := client.Go("Test.Pass", Args{}, nil, nil)
			eventually(t, "a call holds the slot", func() bool { return service.begun.Load() > 0 })
			want("no slot", call("Arith.Add"), CodeResourceExhausted, InServer, RanNever)
			service.gate <- struct{}{}
			<-held.Done
			service.begun.Store(0)
			if held.Error != nil || !client.IsAvailable() {
				t.Errorf("limit %d: the connection is gone: %v", limit, held.Error)
			}
			client.Close()
		}
	})
}
