package geerpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"geerpc/codec"
)

// A trapError is an error of a codec's one of whose methods misbehaves.
type trapError struct {
	method  string
	misdeed func()
}

func (e trapError) try(method string) {
	if e.method == method {
		e.misdeed()
	}
}

func (e trapError) Error() string   { e.try("Error"); return "trap" }
func (e trapError) Is(error) bool   { e.try("Is"); return false }
func (e trapError) As(any) bool     { e.try("As"); return false }
func (e trapError) Unwrap() error   { e.try("Unwrap"); return nil }
func (e trapError) Timeout() bool   { e.try("Timeout"); return false }
func (e trapError) Temporary() bool { e.try("Temporary"); return false }

// A selfPanic panics with itself when it is asked for its text, which package
// fmt does not survive.
type selfPanic struct{}

func (p selfPanic) String() string { panic(p) }

// A trapCodec fails with a trapError when it is to write a reply.
type trapCodec struct {
	codec.Codec
	always bool
}

const (
	trapType       codec.Type = "test/trap"        // fails for replies of Arith.Add
	alwaysTrapType codec.Type = "test/always-trap" // fails for the apologies as well
)

// trap is the error.
var trap atomic.Pointer[trapError]

func init() {
	for t, always := range map[codec.Type]bool{trapType: false, alwaysTrapType: true} {
		codec.Register(t, func(rwc io.ReadWriteCloser) codec.Codec { return trapCodec{newWholeCodec(rwc), always} })
	}
}

func (c trapCodec) Write(h *codec.Header, body any) error {
	if err := trap.Load(); err != nil && h.Frame().Kind == codec.Reply && (c.always || h.Error == "") {
		return *err
	}
	return c.Codec.Write(h, body)
}

// A codec whose error panics, or ends the goroutine, when it is asked what it
// is: that call fails, or its connection ends, and the server goes on.
func TestC148_CodecErrorMisbehaves(t *testing.T) {
	defer trap.Store(nil)
	misdeeds := map[string]func(){"panics": misdeeds["panics"], "exits": runtime.Goexit, "panics with itself": func() { panic(selfPanic{}) }}
	for how, misdeed := range misdeeds {
		for _, method := range []string{"none", "Error", "Is", "As", "Unwrap"} {
			for _, c := range []codec.Type{trapType, alwaysTrapType} {
				t.Run(method+" "+how+" "+string(c), func(t *testing.T) {
					trap.Store(nil)
					e := newEnv(t, "tcp", c)
					client, bystander := e.dial(nil), e.dial(&Option{CodecType: framedJSON})
					trap.Store(&trapError{method, misdeed})
					ctx, cancel := context.WithTimeout(t.Context(), patient)
					defer cancel()
					if err := client.Call(ctx, "Arith.Add", Args{}, nil); err == nil || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error is %v", err)
					}
					if err := client.Call(ctx, "Arith.Missing", Args{}, nil); err == nil || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error of a refusal is %v", err)
					}
					mustAdd(t, bystander)
					trap.Store(nil)
					if c == trapType {
						mustAdd(t, client)
					}
					closesAtOnce(t, e)
				})
			}
		}
	}
}
