package test

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"geerpc"
	"geerpc/codec"
)

// A failOnceCodec fails to write the first reply.
type failOnceCodec struct {
	codec.Extended
	failed *bool
}

const failOnce codec.Type = "test/fail-once"

func init() {
	framed := codec.Framed(json.Marshal, json.Unmarshal)
	codec.Register(failOnce, func(rwc io.ReadWriteCloser) codec.Codec {
		return failOnceCodec{framed(rwc).(codec.Extended), new(bool)}
	})
}

func (c failOnceCodec) Extend() codec.Codec {
	return failOnceCodec{c.Extended.Extend().(codec.Extended), c.failed}
}

func (c failOnceCodec) Write(h *codec.Header, body any) error {
	if h.Frame().Kind == codec.Reply && !*c.failed {
		*c.failed = true
		return errors.New("no ink")
	}
	return c.Extended.Write(h, body)
}

// What the server refused did not run, also if its codec can't write the refusal.
func TestE171_RefusalCouldNotBeWritten(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			client := newEnv(t, transport, failOnce).dial(nil)
			err := client.Call(t.Context(), "Arith.Missing", Args{}, nil)
			wantError(t, err, geerpc.CodeNotFound, geerpc.InServer, geerpc.RanNever)
			mustAdd(t, client)
		})
	}
}

func TestE171_ReplyCouldNotBeWritten(t *testing.T) {
	client := newEnv(t, "tcp", failOnce).dial(nil)
	err := client.Call(t.Context(), "Arith.Add", Args{}, nil)
	wantError(t, err, geerpc.CodeInternal, geerpc.InMethod, geerpc.RanYes)
	mustAdd(t, client)
}
