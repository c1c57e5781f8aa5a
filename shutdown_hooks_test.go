package geerpc

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Shutdown returns at its context's end while a function that was passed to
// OnShutdown hangs, and has closed what there is.
func TestD117_HookHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		client := e.dial(nil)
		gate := make(chan struct{})
		defer close(gate)
		e.OnShutdown(func(context.Context) { <-gate })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > time.Minute+closeGrace {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
		<-client.readerStopped
		if err := e.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown again: %v", err)
		}
	})
}

// A second Shutdown does not overtake the first, whose hooks still run; Close
// ends both.
func TestD117_SecondShutdownAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		client := e.dial(nil)
		gate := make(chan struct{})
		e.OnShutdown(func(context.Context) { <-gate })
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- e.Shutdown(context.Background()) }()
			synctest.Wait()
		}
		if err := client.Call(t.Context(), "Arith.Add", Args{}, nil); err != nil {
			t.Errorf("while a hook runs: %v", err)
		}
		e.Close()
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		close(gate)
	})
}

// A hook that panics, or ends its goroutine, is logged and keeps no other from
// being called.
func TestE121_HookPanics(t *testing.T) {
	var s Server
	logger, log := listenIn()
	s.Logger = logger
	called := make(chan struct{}, 1)
	s.OnShutdown(func(context.Context) { panic("out of order") })
	s.OnShutdown(func(context.Context) { runtime.Goexit() })
	s.OnShutdown(func(context.Context) { called <- struct{}{} })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-called
	if text := log.String(); strings.Count(text, "out of order") != 1 || !strings.Contains(text, "hooks_test.go") {
		t.Errorf("log: %s", text)
	}
}

// Close ends a Shutdown that waits for a method which does not end with its
// context.
func TestD138_CloseEndsShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "pipe", framedJSON)
		service := &Turnstile{gate: make(chan struct{})}
		if err := e.RegisterName("Deaf", service); err != nil {
			t.Fatal(err)
		}
		client := e.dial(nil)
		call := client.Go("Deaf.Pass", Args{}, nil, nil)
		synctest.Wait()
		result := make(chan error, 1)
		go func() { result <- e.Shutdown(context.Background()) }()
		synctest.Wait()
		begin := time.Now()
		e.Close()
		if err := <-result; err != ErrServerClosed || time.Since(begin) > closeGrace {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
		<-call.Done
		close(service.gate)
	})
}

// A connection that comes when all has been closed is closed as well.
func TestD138_ConnectionAfterClose(t *testing.T) {
	var s Server
	s.Close()
	near, far := net.Pipe()
	s.ServeConn(far)
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}
