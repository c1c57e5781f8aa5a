package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"geerpc"
)

// fullBacklog returns the address of a TCP port that takes no more connections.
func fullBacklog(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", addr, 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("the backlog takes every connection here")
	return ""
}

// TestD112_FullBacklog dials a port whose backlog is full. The net.Dialer
// applies the deadline of its context too, and often is first.
func TestD112_FullBacklog(t *testing.T) {
	addr := fullBacklog(t)
	const dials = 100
	var errs [dials]error
	var wg sync.WaitGroup
	for i := range dials {
		wg.Go(func() {
			ctx, opt := t.Context(), &geerpc.Option{ConnectTimeout: 20 * time.Millisecond}
			if i%2 == 1 {
				limited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				ctx, opt.ConnectTimeout = limited, time.Minute
			}
			_, errs[i] = geerpc.DialContext(ctx, "tcp", addr, opt)
		})
	}
	wg.Wait()
	for i, err := range errs {
		want := "connect timeout: expect within 20ms"
		if i%2 == 1 {
			want = "timeout"
		}
		wantError(t, err, geerpc.CodeDeadlineExceeded, geerpc.OnLink, geerpc.RanNever)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Fatal(err)
		}
	}
}
