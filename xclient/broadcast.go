package xclient

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"geerpc"
)

// Broadcast calls the named method on all servers at once and waits for all of
// them. The reply of the first server that answers well is decoded into reply,
// a pointer; nil drops it. As soon as a server fails, the calls to those that
// have not answered yet are cancelled.
//
// The error joins that of each server which failed or was cancelled, the first
// to fail first, each beginning with the server's address; errors.Is and
// errors.As see all of them. It is a *geerpc.Error with CodeUnavailable if there
// are no servers, and geerpc.ErrShutdown after Close.
//
// args is encoded by several goroutines at once.
func (xc *XClient) Broadcast(ctx context.Context, serviceMethod string, args, reply any) error {
	if xc.pool.closed() {
		return geerpc.ErrShutdown
	}
	target := reflect.ValueOf(reply)
	if reply != nil && (target.Kind() != reflect.Pointer || target.IsNil()) {
		return notSent(geerpc.CodeInvalidArgument, "rpc xclient: the reply of a broadcast is a %T, want a pointer", reply)
	}
	servers, err := xc.all(ctx)
	if err != nil {
		return err
	}
	if len(servers) == 0 {
		return errNoServers
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := broadcast{target: target, cancel: cancel}
	var wg sync.WaitGroup
	for _, addr := range servers {
		wg.Go(func() {
			fresh, reply := b.newReply()
			b.done(addr, fresh, xc.call(ctx, addr, serviceMethod, args, reply))
		})
	}
	wg.Wait()
	return errors.Join(b.errs...)
}

// A broadcast collects what the servers answer.
type broadcast struct {
	target reflect.Value // the caller's reply, invalid if there is none
	cancel context.CancelFunc

	mu       sync.Mutex // guards what follows, and what target points to
	answered bool
	errs     []error
}

// newReply returns a value for the reply of one server, twice.
func (b *broadcast) newReply() (reflect.Value, any) {
	if !b.target.IsValid() {
		return reflect.Value{}, nil
	}
	fresh := reflect.New(b.target.Type().Elem())
	return fresh, fresh.Interface()
}

// done notes how the call to one server ended.
func (b *broadcast) done(addr string, fresh reflect.Value, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		b.errs = append(b.errs, fmt.Errorf("%s: %w", addr, err))
		b.cancel()
	case !b.answered && fresh.IsValid():
		b.target.Elem().Set(fresh.Elem())
		b.answered = true
	}
}
