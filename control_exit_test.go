package geerpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/link"
)

// An exitCodec is a framed codec of a user's that ends the goroutine which is to
// write a message that exitAt is for, once.
type exitCodec struct{ codec.Extended }

const exitType codec.Type = "test/exit"

var exitAt atomic.Pointer[func(*codec.Header) bool]

func init() {
	inner := codec.Framed(json.Marshal, json.Unmarshal)
	codec.Register(exitType, func(rwc io.ReadWriteCloser) codec.Codec { return exitCodec{inner(rwc).(codec.Extended)} })
}

func (c exitCodec) Extend() codec.Codec { return exitCodec{c.Extended.Extend().(codec.Extended)} }

func (c exitCodec) Write(h *codec.Header, body any) error {
	if at := exitAt.Load(); at != nil && (*at)(h) && exitAt.CompareAndSwap(at, nil) {
		runtime.Goexit()
	}
	return c.Extended.Write(h, body)
}

// A codec that ends the goroutine which sends a control message leaves nobody
// waiting: the connection ends, with its calls, and the server
// serves others and shuts down.
func TestC149_ControlMessageEndsTheGoroutine(t *testing.T) {
	defer exitAt.Store(nil)
	for name, kind := range map[string]codec.Kind{"pong": codec.Pong, "ping": codec.Ping, "cancel": codec.Cancel,
		"goaway": codec.Goaway} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", exitType)
			client, bystander := e.dial(nil), e.dial(nil)
			mustAdd(t, client)
			at := func(h *codec.Header) bool { return h.Frame().Kind == kind }
			exitAt.Store(&at)
			ctx, cancel := context.WithTimeout(t.Context(), patient)
			defer cancel()
			switch kind {
			case codec.Cancel:
				leaving, leave := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, leave)
				client.Call(leaving, "Arith.Block", Args{}, nil)
			case codec.Goaway:
				client.Go("Arith.Block", Args{}, nil, nil) // or there would be nothing to take leave from
				client.drain()
			default:
				client.link.Post(link.Control{Kind: codec.Ping})
			}
			eventually(t, "the codec exits", func() bool { return exitAt.Load() == nil })
			if err := client.Call(ctx, "Arith.Add", Args{}, nil); errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a later call hangs: %v", err)
			}
			mustAdd(t, bystander)
			if err := e.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

// The same for a refusal, which is sent as control messages are.
func TestC149_RefusalEndsTheGoroutine(t *testing.T) {
	defer exitAt.Store(nil)
	e := newEnv(t, "tcp", exitType)
	bystander := e.dial(nil)
	p := e.handshake(nil)
	at := func(h *codec.Header) bool { return h.Frame().Kind == codec.Reply }
	exitAt.Store(&at)
	p.call(t, "Arith.Block", 1, Args{})
	p.call(t, "Arith.Block", 1, Args{}) // one too many with this seq
	var h codec.Header
	if err := p.ReadHeader(&h); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %+v, %v; want the connection to end", h, err)
	}
	mustAdd(t, bystander)
	closesAtOnce(t, e)
}

// The answer of a handle timeout that ends its goroutine is replaced by another
// one, which leaves at once.
func TestC149_TimeoutsAnswerEndsTheGoroutine(t *testing.T) {
	defer exitAt.Store(nil)
	e := newEnv(t, "tcp", exitType)
	e.HandleTimeout = 50 * time.Millisecond
	gate := make(chan struct{})
	defer close(gate)
	RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) { <-gate; return Reply{}, nil })
	client := e.dial(&Option{PingInterval: -1})
	at := func(h *codec.Header) bool { return h.Frame().Kind == codec.Reply }
	exitAt.Store(&at)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	wantError(t, client.Call(ctx, "Test.Wait", Args{}, nil), CodeDeadlineExceeded, InMethod, RanMaybe)
}
