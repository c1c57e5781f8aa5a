package xclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"geerpc"
)

// Broadcast calls the named method on all servers at once and waits for all of
// them. The reply of the first server that answers well is decoded into reply,
// a pointer; nil drops it. As soon as a server fails, the calls to those that
// have not answered yet are cancelled.
//
// The error joins that of each server which failed, the first to fail first,
// each beginning with the server's address; errors.Is and errors.As see all of
// them. A call that was cancelled for another one's failure is among them as
// ErrAbandoned, and not as context.Canceled: that means the caller's context, or
// what a server said. It is a *geerpc.Error with CodeUnavailable if there
// are no servers, with CodeInvalidArgument if reply is no pointer, and
// geerpc.ErrShutdown after Shutdown or Close.
//
// Of an XClient's Config, Broadcast, BroadcastAll and Fork follow the Timeout
// and the Option; there is nothing to pick and, as each server is called once,
// nothing to repeat. All servers that are listed and may offer the service are
// called, each once, even if they are not fit for other calls.
//
// args is encoded by several goroutines at once. Reply metadata is that of the
// first server that answers well.
func (xc *XClient) Broadcast(ctx context.Context, serviceMethod string, args, reply any) error {
	_, err := xc.callAll(ctx, serviceMethod, args, reply, func(err error) bool { return err != nil })
	return err
}

// BroadcastAll is Broadcast, but that a server which fails is no reason to
// cancel the calls to others. All of them end with ctx at the latest. A reply
// may come together with an error.
func (xc *XClient) BroadcastAll(ctx context.Context, serviceMethod string, args, reply any) error {
	_, err := xc.callAll(ctx, serviceMethod, args, reply, func(error) bool { return false })
	return err
}

// Fork calls the named method on all servers at once. The first good answer is
// decoded into reply, a pointer, nil drops it; and the calls to the other
// servers are cancelled before Fork returns. The method should be one that may
// run on any number of servers.
//
// If there is no good answer, the error joins that of each server, as
// Broadcast's does; and so it does in the cases that Broadcast lists.
//
// args is encoded by several goroutines at once. Reply metadata comes with the
// answer.
func (xc *XClient) Fork(ctx context.Context, serviceMethod string, args, reply any) error {
	answered, err := xc.callAll(ctx, serviceMethod, args, reply, func(err error) bool { return err == nil })
	if answered {
		return nil
	}
	return err
}

// ErrAbandoned is what Broadcast reports of a call that it cancelled because
// another server had failed. It is wrapped in a *geerpc.Error with CodeAborted,
// whose Ran tells whether the method may have run.
var ErrAbandoned = errors.New("cancelled, as another server had failed")

// abandoned returns err, or ErrAbandoned if err is no more than that the context
// ended for it. What a server answered stays as it is.
func abandoned(ctx context.Context, err error) error {
	if context.Cause(ctx) != ErrAbandoned || !errors.Is(err, context.Canceled) {
		return err
	}
	var e *geerpc.Error
	if errors.As(err, &e) && (e.Where == geerpc.InServer || e.Where == geerpc.InMethod) {
		return err
	}
	cut := geerpc.Errorf(geerpc.CodeAborted, "rpc xclient: %w", ErrAbandoned).(*geerpc.Error)
	cut.Where, cut.Ran = geerpc.InClient, ranOf(err)
	if e != nil {
		cut.Where = e.Where
	}
	return cut
}

// callAll calls all servers at once and returns when all calls have ended. It cancels
// the other calls when one ends for which enough is true.
func (xc *XClient) callAll(ctx context.Context, serviceMethod string, args, reply any, enough func(error) bool) (answered bool, err error) {
	if ctx == nil {
		return false, errNilContext
	}
	if err := xc.begin(); err != nil {
		return false, err
	}
	defer xc.calls.end()
	target, err := newTarget(ctx, reply)
	if err != nil {
		return false, err
	}
	servers, err := xc.serversFor(ctx, serviceMethod)
	if err != nil {
		return false, err
	}
	if len(servers) == 0 {
		return false, errNoServers
	}
	ctx, expire := withDefaultTimeout(ctx, xc.config.Timeout)
	defer expire()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := answers{target: target}
	var wg sync.WaitGroup
	for _, s := range servers {
		own := target.copy(ctx)
		wg.Go(func() {
			runDetached(func() error {
				return xc.callServer(own.ctx, s, serviceMethod, args, own.reply)
			}, func(err error) {
				if c.add(s.Endpoint().Addr, own, abandoned(ctx, err)); enough(err) {
					cancel(ErrAbandoned)
				}
			})
		})
	}
	wg.Wait()
	return c.done, errors.Join(c.errs...)
}

// An answers collects what the servers answer.
type answers struct {
	target target

	mu   sync.Mutex // guards what follows, and what target points to
	done bool       // there has been a good answer
	errs []error
}

// add notes how the call to one server ended.
func (c *answers) add(addr string, own copied, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.errs = append(c.errs, newServerError(addr, err))
	case !c.done:
		c.target.take(own)
		c.done = true
	}
}

// A serverError is the error of one of several servers.
type serverError struct {
	text string
	err  error
}

// newServerError returns an error whose text begins with the server's address. If this
// side says of the error where it was, that is left out.
func newServerError(addr string, err error) error {
	text := fmt.Sprint(err)
	var e *geerpc.Error
	if errors.As(err, &e) && (e.Where == geerpc.InClient || e.Where == geerpc.OnLink) {
		text = strings.Replace(text, " at "+addr+": ", ": ", 1)
		text = strings.Replace(text, ": "+addr+": ", ": ", 1)
	}
	return &serverError{addr + ": " + text, err}
}

func (e *serverError) Error() string { return e.text }
func (e *serverError) Unwrap() error { return e.err }

// serversFor returns all servers that may offer the service of a method, each
// once.
func (xc *XClient) serversFor(ctx context.Context, serviceMethod string) (servers []*Server, err error) {
	if xc.set.source != nil {
		v, err := xc.view(ctx, serviceMethod)
		if err != nil {
			return nil, err
		}
		return v.all, nil
	}
	addrs, err := xc.d.GetAll()
	if err != nil {
		return nil, discoveryError(err)
	}
	for _, e := range addressed(addrs) {
		s, err := xc.set.server(e.Addr)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// callServer calls the named method on a server, over another connection if the
// first was being closed before the call was sent.
func (xc *XClient) callServer(ctx context.Context, s *Server, serviceMethod string, args, reply any) error {
	for n := 1; ; n++ {
		client := s.client()
		if client == nil {
			s.redialNow(redialInterval) // the call is for this server, and no other
			var err error
			if client, err = s.connect(ctx, false, nil); err != nil {
				return err
			}
		}
		err := s.call(ctx, client, serviceMethod, args, reply)
		if err == nil || n >= maxPicks || !closedUnsent(ctx, client, err) {
			return err
		}
	}
}
