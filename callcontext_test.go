package geerpc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"geerpc/internal/link"
)

// A method's context knows its call, and so do those derived from it.
func TestCallContext_Derived(t *testing.T) {
	near, _ := net.Pipe()
	l := link.New(near, link.Config{Report: new(Server).report})
	k := &servedCall{conn: &conn{link: l, server: &Server{}}}
	k.conn.clock.Parent = l.Context()
	k.makeContext(k.conn.due(0, time.Hour), nil)
	child, stop := context.WithTimeout(context.WithValue(k.ctx, callKey{}, "other"), time.Minute)
	defer stop()
	if callFrom(k.ctx) != k.ctx || k.ctx.Value("other") != nil {
		t.Error("it does not know its call, or knows more")
	}
	if deadline, ok := k.ctx.Deadline(); !ok || time.Until(deadline) > time.Hour {
		t.Errorf("the deadline is %v, %v", deadline, ok)
	}
	k.cancel()
	<-child.Done()
}

// A method's context can be printed with any verb, and those made from it with
// any that their own String serves: that neither races with the call, which may
// be cancelled meanwhile, nor shows its metadata.
func TestC126_PrintedContext(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		running, printed := make(chan struct{}), make(chan string, 1)
		RegisterFunc(e.Server, "Test.Print", func(ctx context.Context, _ Args) (Reply, error) {
			running <- struct{}{}
			derived, cancel := context.WithCancel(context.WithValue(ctx, callKey{}, 1))
			defer cancel()
			timed, cancel := context.WithTimeout(derived, time.Hour)
			defer cancel()
			var b strings.Builder
			for range 20 {
				for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x"} {
					fmt.Fprintf(&b, verb+verb+verb+"\n", ctx, derived, timed)
				}
				fmt.Fprintf(&b, "%#v %d %#v\n", ctx, ctx, struct{ C context.Context }{ctx})
			}
			slog.New(slog.NewTextHandler(&b, nil)).Info("as text", "ctx", ctx)
			slog.New(slog.NewJSONHandler(&b, nil)).Info("as JSON", "ctx", ctx)
			printed <- b.String()
			return Reply{}, nil
		})
		client := e.dial(nil)
		for range 5 {
			ctx, cancel := context.WithCancel(WithMetadata(t.Context(), Metadata{"token": "hush"}))
			call := make(chan error, 1)
			go func() { call <- client.Call(ctx, "Test.Print", Args{}, nil) }()
			<-running
			cancel()
			<-call
			if text := <-printed; strings.Contains(text, "hush") || !strings.Contains(text, "geerpc.callContext.WithValue") {
				t.Fatalf("printed: %.2000s", text)
			}
		}
	})
}
