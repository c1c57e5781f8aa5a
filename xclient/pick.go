package xclient

import (
	"context"
	"slices"
	"strings"

	"geerpc"
)

// How a call gets to a server: one is picked that is fit and connected, while there
// is any; and picked again if the call turns out not to have reached it.

// maxPicks is how many servers may turn out to be no good before an attempt
// fails.
const maxPicks = 4

// callOnce makes one attempt at a call. It goes to another server as long as the
// call was not attempted after all.
func (xc *XClient) callOnce(ctx context.Context, serviceMethod string, args, reply any) error {
	for n := 1; ; n++ {
		s, client, err := xc.pick(ctx, serviceMethod)
		if err != nil {
			return err
		}
		err = s.call(ctx, client, serviceMethod, args, reply)
		if err == nil || n >= maxPicks || !xc.notAttempted(ctx, serviceMethod, client, err) {
			return err
		}
	}
}

// notAttempted reports whether a call that failed may go to another server as part
// of the same attempt: its connection was being closed, or the server does not have
// the method but another one may, as in a rolling upgrade.
func (xc *XClient) notAttempted(ctx context.Context, serviceMethod string, client *geerpc.Client, err error) bool {
	return closedUnsent(ctx, client, err) || ctx.Err() == nil && methodMissing(err) && xc.hasUntried(ctx, serviceMethod)
}

// closedUnsent reports whether a call failed because its connection was being
// closed before it was sent.
func closedUnsent(ctx context.Context, client *geerpc.Client, err error) bool {
	return !client.IsAvailable() && ranOf(err) == geerpc.RanNever && ctx.Err() == nil // after Close there is no other: pick says so
}

// methodMissing reports whether the server of an attempt did not have the method.
func methodMissing(err error) bool {
	return geerpc.CodeOf(err) == geerpc.CodeNotFound && ranOf(err) == geerpc.RanNever
}

// hasUntried reports whether there is a server for a method that the call has not
// tried.
func (xc *XClient) hasUntried(ctx context.Context, serviceMethod string) bool {
	a := callContextOf(ctx)
	if a == nil || xc.set.source == nil {
		return false
	}
	v, err := xc.view(ctx, serviceMethod)
	return err == nil && slices.ContainsFunc(v.servers, func(s *Server) bool { return !a.hasTried(s) })
}

// pick returns a server to call and a client for it. Where another server is
// connected no call waits for a dial. Where none is, but there are others, a call
// waits for a dial no longer than its patience: by then another one may be.
func (xc *XClient) pick(ctx context.Context, serviceMethod string) (*Server, *geerpc.Client, error) {
	a := callContextOf(ctx)
	var failed error // of a server that may be back soon
	for picks := 1; ; {
		changed := xc.set.changed.next() // before the choice, so that no change is missed
		v, s, err := xc.choose(ctx, a, serviceMethod)
		if err != nil {
			return nil, nil, err
		}
		s, client := xc.connected(ctx, a, v, s)
		if a != nil {
			a.addTried(s) // before it is waited for: a hedge should go elsewhere
		}
		if client == nil && (picks == maxPicks || !s.health.is(v.excluded&down)) {
			if s.health.is(down) {
				xc.set.dialForCall(s)
			}
			client, err = s.connect(ctx, v.hasOthers, changed)
		}
		switch {
		case client != nil:
			return s, client, nil
		case err == errTryOther: // which took its time
		case err != nil && (!v.hasOthers && err != errUnlisted || picks == maxPicks || ctx.Err() != nil || xc.set.closed()):
			if failed != nil && geerpc.CodeOf(err) == geerpc.CodeInvalidArgument {
				err = failed // one bad address must not make the call look hopeless
			}
			return nil, nil, a.outOfReach(err)
		default:
			if geerpc.CodeOf(err) == geerpc.CodeUnavailable {
				failed = err
			}
			picks++
		}
	}
}

// connected returns a server and its client: s if it has one, or another one
// that has, while s is being connected to. If there is none it returns s and
// nil.
func (xc *XClient) connected(ctx context.Context, a *callContext, v *view, s *Server) (*Server, *geerpc.Client) {
	client := s.client()
	if client != nil || !v.hasOthers {
		return s, client
	}
	if xc.set.source == nil { // Get is asked again
		if xc.set.anyConnected() {
			s.connectSoon()
		}
		return s, nil
	}
	if other, client := v.connected(ctx, a); client != nil {
		s.connectSoon()
		return other, client
	}
	return s, nil
}

// choose returns a server that has not been tried and accepts calls, if there is
// one, and the view that it is from.
func (xc *XClient) choose(ctx context.Context, a *callContext, serviceMethod string) (*view, *Server, error) {
	if xc.set.source == nil {
		s, err := xc.get(ctx)
		return &anyView, s, err
	}
	v, err := xc.view(ctx, serviceMethod)
	if err != nil {
		return nil, nil, err
	}
	if s := v.probeDue(ctx, a); s != nil {
		return v, s, nil
	}
	var s *Server
	for range maxPicks {
		if s = v.pick(ctx); s == nil {
			return nil, nil, errNoPick
		}
		if len(v.servers) == 1 || v.accepts(ctx, s, a) {
			return v, s, nil
		}
		if a != nil {
			a.addTried(s) // ConsistentHash looks further
		}
	}
	return v, v.fallback(ctx, s, a), nil
}

var errNoPick = notSent(geerpc.CodeInternal, "rpc xclient: the Balancer picked none of the servers")

// anyView stands in where the Discovery picks, and does not say from what.
var anyView = view{hasOthers: true, excluded: down}

// get asks a Discovery that has only the four methods for a server. It asks again
// if that server should get no call at present, but not for ever: there may be no
// other.
func (xc *XClient) get(ctx context.Context) (s *Server, err error) {
	for range maxPicks {
		if s, err = xc.getAny(); err != nil || !s.health.is(ejected) && s.admits(ctx) {
			break
		}
	}
	return s, err
}

func (xc *XClient) getAny() (*Server, error) {
	addr, err := xc.d.Get(xc.mode)
	switch {
	case err != nil:
		return nil, discoveryError(err)
	case addr == "":
		return nil, errNoAddress
	}
	return xc.set.server(addr)
}

var errNoAddress = notSent(geerpc.CodeInvalidArgument, "rpc xclient: the Discovery returned an empty address")

// view returns the servers for calls of a method.
func (xc *XClient) view(ctx context.Context, serviceMethod string) (*view, error) {
	dot := strings.LastIndexByte(serviceMethod, '.')
	if dot <= 0 {
		return nil, notSent(geerpc.CodeInvalidArgument, "rpc xclient: the method %.256q: want \"Service.Method\"", serviceMethod)
	}
	return xc.set.view(ctx, serviceMethod[:dot])
}
