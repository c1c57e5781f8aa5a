// Package rpctest is what the tests of geerpc share, those beside the code and
// those in test/, which use the library as a user does. So it does not import
// geerpc.
package rpctest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
)

// FramedJSON is a codec made by codec.Framed.
const FramedJSON codec.Type = "test/framed-json"

func init() { codec.Register(FramedJSON, codec.Framed(json.Marshal, json.Unmarshal)) }

// Behaviour is tested over each transport, with each codec.
var (
	Transports = []string{"pipe", "tcp", "unix", "tls", "http"}
	Codecs     = []codec.Type{codec.GobType, codec.JsonType, FramedJSON}
)

// Eventually waits for a condition that other goroutines bring about.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("never came true: ", what)
		}
		<-time.After(time.Millisecond) // between two looks; nothing says when it comes true
	}
}

// HeapInUse returns the live heap in bytes.
func HeapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A LogBuffer is what a Logger has written.
type LogBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Logger returns a logger, and what it writes.
func Logger() (*slog.Logger, *LogBuffer) {
	b := new(LogBuffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug})), b
}

// Write implements io.Writer.
func (b *LogBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String returns what has been written.
func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Intercept makes an interceptor of one function. F is geerpc.CallFunc.
func Intercept[F ~func(ctx context.Context, serviceMethod string, args, reply any) error](
	f func(ctx context.Context, next F, serviceMethod string, args, reply any) error) func(next F) F {
	return func(next F) F {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			return f(ctx, next, serviceMethod, args, reply)
		}
	}
}
