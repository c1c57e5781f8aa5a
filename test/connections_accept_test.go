package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

// TestA20_AbstractSocket dials an address that starts with @ itself.
func TestA20_AbstractSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("abstract sockets are Linux's")
	}
	name := fmt.Sprintf("@geerpc-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	lis, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	s := geerpc.NewServer()
	s.Register(new(Arith))
	served := make(chan error, 1)
	go func() { served <- s.Serve(lis) }()
	client, err := geerpc.XDial("unix@" + name)
	if err != nil {
		t.Fatal(err)
	}
	mustAdd(t, client)
	client.Close()
	s.Close()
	if err := <-served; err != geerpc.ErrServerClosed {
		t.Errorf("Serve returned %v", err)
	}
	for _, bad := range []string{"", "@", "tcp@", "@/tmp/x", "127.0.0.1:80"} {
		_, err := geerpc.XDial(bad)
		wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InClient, geerpc.RanNever)
	}
}

// A sickListener accepts what it has in store: connections and errors.
type sickListener struct {
	*geerpc.PipeListener
	store chan error // nil: a connection
	tries []time.Duration
	last  time.Time
}

func (l *sickListener) Accept() (net.Conn, error) {
	now := time.Now()
	l.tries, l.last = append(l.tries, now.Sub(l.last)), now
	select {
	case err := <-l.store:
		if err != nil {
			return nil, err
		}
		_, far := net.Pipe()
		return far, nil
	default:
		return l.PipeListener.Accept()
	}
}

// TestA21_AcceptFailsForTheMoment has Accept fail as it does when there are no
// file descriptors left. It is tried again after 5 ms, then after twice that,
// and so on up to a second; one success, and the next failure counts as the
// first. An error that stays ends Serve.
func TestA21_AcceptFailsForTheMoment(t *testing.T) {
	passing := &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		lis := &sickListener{PipeListener: geerpc.NewPipeListener(), store: make(chan error, 20), last: time.Now()}
		for range 10 {
			lis.store <- passing
		}
		lis.store <- nil
		lis.store <- passing
		s := geerpc.NewServer()
		served := make(chan error, 1)
		go func() { served <- s.Serve(lis) }()
		<-time.After(time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 5 * ms, 10 * ms, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1000 * ms, 1000 * ms, 0, 5 * ms}
		if !slices.Equal(lis.tries, want) {
			t.Errorf("pauses are %v, want %v", lis.tries, want)
		}
		s.Close()
		if err := <-served; err != geerpc.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	t.Run("Close during a pause", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lis := &sickListener{PipeListener: geerpc.NewPipeListener(), store: make(chan error, 20), last: time.Now()}
			for range 20 {
				lis.store <- passing
			}
			s := geerpc.NewServer()
			served := make(chan error, 1)
			go func() { served <- s.Serve(lis) }()
			<-time.After(1500 * ms)
			s.Shutdown(context.Background())
			if err := <-served; err != geerpc.ErrServerClosed || time.Since(lis.last) > time.Second {
				t.Errorf("Serve returned %v", err)
			}
		})
	})
	t.Run("for good", func(t *testing.T) {
		broken := errors.New("broken for good")
		lis := &sickListener{PipeListener: geerpc.NewPipeListener(), store: make(chan error, 1)}
		lis.store <- broken
		if err := geerpc.NewServer().Serve(lis); err != broken {
			t.Errorf("Serve returned %v", err)
		}
		if _, err := lis.DialContext(context.Background(), "", ""); err == nil {
			t.Error("the listener is open still")
		}
	})
}
