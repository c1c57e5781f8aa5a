package geerpc

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/connset"
)

// A testListener does what its functions do, and is not comparable.
type testListener struct {
	net.Listener
	accept func() (net.Conn, error)
	close  func() error
	closed *atomic.Int32
}

func (l testListener) Accept() (net.Conn, error) {
	if l.accept != nil {
		return l.accept()
	}
	return l.Listener.Accept()
}

func (l testListener) Close() error {
	defer l.Listener.Close()
	l.closed.Add(1)
	if l.close != nil {
		return l.close()
	}
	return nil
}

// Each listener is closed once, however the server ends, without a lock held,
// and is no map key. A Close that panics keeps no other from being closed.
func TestD130_ListenersAreClosedOnce(t *testing.T) {
	ends := map[string]func(s *Server){
		"Close":    func(s *Server) { s.Close(); s.Close() },
		"Shutdown": func(s *Server) { s.Shutdown(context.Background()); s.Close() },
		"both": func(s *Server) {
			var wg sync.WaitGroup
			wg.Go(func() { s.Close() })
			wg.Go(func() { s.Shutdown(context.Background()) })
			wg.Wait()
		},
	}
	closes := map[string]func(s *Server){
		"plain":           nil,
		"uses the server": func(s *Server) { s.Services(); s.OnShutdown(func(context.Context) {}); s.debugInfo() },
		"panics":          func(*Server) { panic("out of sockets") },
		"ends itself":     func(s *Server) { s.Close() },
	}
	for endName, end := range ends {
		for closeName, f := range closes {
			if endName == "both" && closeName == "ends itself" {
				continue // it waits for itself, at most for the second that Close takes
			}
			inBubble(t, endName+"/"+closeName, func(t *testing.T) {
				var s Server
				logger, log := listenIn()
				s.Logger = logger
				var closed [3]atomic.Int32
				served := make(chan error, len(closed))
				for i := range closed {
					lis := testListener{Listener: NewPipeListener(), closed: &closed[i]}
					if f != nil {
						lis.close = func() error { f(&s); return nil }
					}
					go func() { served <- s.Serve(lis) }()
				}
				eventually(t, "all are served", func() bool {
					return len(s.conns.Status().Listeners) == len(closed)
				})
				end(&s)
				for i := range closed {
					if n := closed[i].Load(); n != 1 {
						t.Errorf("listener %d was closed %d times", i, n)
					}
				}
				if closeName == "panics" {
					if n := strings.Count(log.String(), "out of sockets"); n != len(closed) || !strings.Contains(log.String(), "listener_test.go") {
						t.Errorf("log: %s", log)
					}
				}
				for range closed {
					if err := <-served; err != ErrServerClosed {
						t.Errorf("Serve: %v", err)
					}
				}
			})
		}
	}
}

// Accept that returns nothing at all.
func TestD130_AcceptReturnsNothing(t *testing.T) {
	var s Server
	var closed atomic.Int32
	err := s.Serve(testListener{Listener: NewPipeListener(), closed: &closed,
		accept: func() (net.Conn, error) { return nil, nil }})
	if !errors.Is(err, connset.ErrNoConn) || closed.Load() != 1 {
		t.Errorf("Serve: %v; closed %d times", err, closed.Load())
	}
}

// A panic of Accept is that of the goroutine which called Serve.
func TestD130_AcceptPanics(t *testing.T) {
	var s Server
	var closed atomic.Int32
	defer func() {
		if p := recover(); p != "out of ports" || closed.Load() != 1 {
			t.Errorf("recovered %v; closed %d times", p, closed.Load())
		}
		s.Close()
	}()
	s.Serve(testListener{Listener: NewPipeListener(), closed: &closed,
		accept: func() (net.Conn, error) { panic("out of ports") }})
}

// A slowConn takes half a second to be closed.
type slowConn struct{ net.Conn }

func (c slowConn) Close() error {
	<-time.After(500 * time.Millisecond)
	return c.Conn.Close()
}

// Connections are closed side by side: those that take time to be closed take
// it together, silent ones on Shutdown as well.
func TestD127_ConnectionsAreClosedSideBySide(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s Server
				for range 8 {
					near, far := net.Pipe()
					go s.ServeConn(slowConn{far})
					go io.Copy(io.Discard, near)
				}
				synctest.Wait()
				begin := time.Now()
				if err := end(&s); err != nil {
					t.Error(err)
				}
				if d := time.Since(begin); d >= time.Second {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}
