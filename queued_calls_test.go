package geerpc

import (
	"sync/atomic"
	"testing"
)

// A Turnstile is a service whose methods take no context. Each call counts, and
// waits at the gate.
type Turnstile struct {
	begun atomic.Int32
	gate  chan struct{}
}

func (s *Turnstile) Pass(Args, *Reply) error {
	s.begun.Add(1)
	<-s.gate
	return nil
}

// Calls that wait behind another one are not begun once their connection, or the
// server, has been closed: their answers would reach nobody.
func TestC114_QueuedCallsOfClosedConnection(t *testing.T) {
	ends := map[string]func(e *env, c *Client){
		"client": func(_ *env, c *Client) { c.Close() },
		"server": func(e *env, _ *Client) { e.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, e *env) {
				const queued = 30
				e.Ordered = true
				service := &Turnstile{gate: make(chan struct{})}
				if err := e.RegisterName("Test", service); err != nil {
					t.Fatal(err)
				}
				client := e.dial(nil)
				for range 1 + queued {
					client.Go("Test.Pass", Args{}, nil, make(chan *Call, 1))
				}
				c := e.onlyConn()
				eventually(t, "all calls arrive", func() bool { return c.slots.taken.Load() == 1+queued && service.begun.Load() == 1 })
				done := make(chan struct{})
				go func() { defer close(done); end(e, client) }()
				<-c.link.Context().Done()
				close(service.gate)
				<-done
				c.ending.Wait()
				if n := service.begun.Load(); n != 1 {
					t.Errorf("%d calls were begun after the connection was closed", n-1)
				}
			})
		})
	}
}
