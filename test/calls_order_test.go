package test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"geerpc"
)

// A record is a service that notes the order of its calls.
type record struct {
	mu   sync.Mutex // guards seen
	seen []int
}

// Note notes a number.
func (r *record) Note(n int, _ *int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, n)
	return nil
}

// TestC138_OrderOfGo: an Ordered server runs the calls of Go in their order, and
// with what their arguments were then.
func TestC138_OrderOfGo(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		const n = 200
		r := new(record)
		e.Server.Ordered = true
		e.RegisterName("Record", r)
		client := e.dial(nil)
		done, arg := make(chan *geerpc.Call, n), new(int)
		for i := range n {
			*arg = i
			client.Go("Record.Note", arg, nil, done)
		}
		for range n {
			if call := <-done; call.Error != nil {
				t.Fatal(call.Error)
			}
		}
		if !slices.IsSorted(r.seen) || len(r.seen) != n {
			t.Errorf("%d calls, in the order %v", len(r.seen), r.seen)
		}
	})
}

// TestC138_OrderOfGoWithInterceptors: an interceptor that waits holds up its
// own call only, and neither Go nor the calls behind it. So the order is lost,
// as documented; Call, one after the other, keeps it.
func TestC138_OrderOfGoWithInterceptors(t *testing.T) {
	e := newEnv(t, "tcp", "application/gob")
	r := new(record)
	e.Server.Ordered = true
	e.RegisterName("Record", r)
	gate := make(chan struct{})
	client := e.dial(&geerpc.Option{Interceptors: []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			if args == 1 {
				<-gate
			}
			return next(ctx, serviceMethod, args, reply)
		}
	}}})
	first := client.Go("Record.Note", 1, nil, nil)
	second := client.Go("Record.Note", 2, nil, nil)
	if call := <-second.Done; call.Error != nil {
		t.Error(call.Error)
	}
	close(gate)
	if call := <-first.Done; call.Error != nil {
		t.Error(call.Error)
	}
	for n := 3; n < 10; n++ {
		if err := client.Call(context.Background(), "Record.Note", n, nil); err != nil {
			t.Error(err)
		}
	}
	if want := []int{2, 1, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(r.seen, want) {
		t.Errorf("the order is %v, want %v", r.seen, want)
	}
}
