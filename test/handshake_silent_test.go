package test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
	"geerpc/internal/handshake"
)

// The peer takes a connection and says nothing, and there is no limit on
// connecting: whatever the client waits for, it waits for 10 s.
func TestB168_SilentPeerWithoutConnectTimeout(t *testing.T) {
	dials := map[string]func(near net.Conn) (*geerpc.Client, error){
		"NewHTTPClient": func(near net.Conn) (*geerpc.Client, error) { return geerpc.NewHTTPClient(near, new(geerpc.Option)) },
	}
	for _, addr := range []string{"tcp@x", "tls@x", "http@x", "https@x"} {
		dials[addr] = func(near net.Conn) (*geerpc.Client, error) {
			return geerpc.XDial(addr, &geerpc.Option{Dialer: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
		}
	}
	for name, dial := range dials {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go io.Copy(io.Discard, far)
				day := time.AfterFunc(24*time.Hour, func() { far.Close() })
				defer day.Stop()
				start := time.Now()
				_, err := dial(near)
				if took := time.Since(start); took != handshake.Timeout {
					t.Errorf("took %v", took)
				}
				wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanNever)
			})
		})
	}
}

// A deadline of the context's takes the place of the 10 s.
func TestB168_SilentPeerAndADeadline(t *testing.T) {
	for _, addr := range []string{"tcp@x", "tls@x", "http@x", "https@x"} {
		t.Run(addr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go io.Copy(io.Discard, far)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				_, err := geerpc.XDialContext(ctx, addr, &geerpc.Option{Dialer: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
				if took := time.Since(start); took != time.Minute {
					t.Errorf("took %v", took)
				}
				wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanNever)
			})
		})
	}
}
