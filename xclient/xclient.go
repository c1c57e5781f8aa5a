package xclient

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"geerpc"
	"geerpc/internal/report"
	"geerpc/xclient/internal/budget"
)

// A Config is how an XClient works. The zero Config is a good one.
type Config struct {
	// Option is how connections are made; it is copied. Nil:
	// geerpc.DefaultOption. Its Dialer gets a context that lasts as long as
	// the connection is wanted, not the one of a call: calls share
	// connections, and each waits for them under its own context. Its
	// Interceptors see each attempt.
	Option *geerpc.Option

	// Balancer picks the servers. Nil: LeastLoaded. It is not used with a
	// Discovery that has only the four methods.
	Balancer Balancer

	// Connections is how many connections are made to a server, each of them
	// when there is a call for it. Zero or negative: 1, which serves
	// thousands of callers.
	Connections int

	// Subset is how many servers the calls of this XClient are spread over, of
	// those that offer a service: for lists so long that not every client
	// should be connected to every server. Each client has its own, which
	// changes by one or two servers when the list does. When some of them are
	// not fit for calls others take their places, up to four times as many and
	// 16; so a client that is cut off does not dial them all. Some twenty are
	// enough for an even load, if there are more clients than servers.
	//
	// A Subset does not go well with ConsistentHash, where all clients need to
	// know the same servers. Broadcast and Fork call all servers, and a
	// Discovery that has only the four methods picks from all. Zero or
	// negative: all servers.
	Subset int

	// ClientID has a client choose the same Subset after a restart. It should
	// be another one for each client: a host's name, say. Empty: a random one.
	ClientID string

	// IdleTimeout is after how long without calls a connection is closed, give
	// or take a second. It is made again when its server is next picked. Zero:
	// 5 minutes with a Subset, whose members change, and never without;
	// negative: never.
	IdleTimeout time.Duration

	// Timeout is the deadline of calls whose context has none. Zero or
	// negative: they have none.
	Timeout time.Duration

	// AttemptTimeout is the deadline of each attempt of a call, under the
	// call's own, with the wait for a connection. An attempt that runs into it
	// has failed with CodeDeadlineExceeded: if the call is idempotent, or was
	// never sent, it is made again on another server, where without
	// AttemptTimeout a server that has stopped takes all the time that the
	// call has. It should be longer than any method takes that is well. Zero
	// or negative: attempts have the call's deadline.
	AttemptTimeout time.Duration

	Hedge    Hedge    // zero: calls are made once at a time
	Retry    Retry    // zero: up to three attempts where that is safe
	Ejection Ejection // zero: after five failures in a row

	// Interceptors wrap each call as a whole. The first is the outermost; nil
	// ones are left out.
	Interceptors []geerpc.Interceptor
}

// An XClient calls the servers of a Discovery. It has connections to those that
// it has called, which all calls share; makes new ones if they have broken or
// the server is about to shut down; and closes those to servers that are no
// longer listed once their calls have ended. It is safe for concurrent use, and
// ends with Close.
type XClient struct {
	fleet   fleet
	d       Discovery
	mode    SelectMode
	timeout time.Duration
	do      geerpc.CallFunc // pick and call, in all policies
	retries *budget.Budget
	hedges  *budget.Budget
}

var (
	_ geerpc.Caller = (*XClient)(nil)
	_ io.Closer     = (*XClient)(nil)
)

// NewXClient returns an XClient for the servers of d, one of which mode picks
// for each call, and which works like New's with opt and nothing else said.
func NewXClient(d Discovery, mode SelectMode, opt *geerpc.Option) *XClient {
	return newXClient(d, mode, Config{Option: opt, Balancer: mode.balancer()})
}

// New returns an XClient for the servers of d. With a Discovery that has only
// the four methods, servers are picked by Get(RandomSelect). If d is nil, all
// calls fail with CodeInvalidArgument.
func New(d Discovery, c Config) *XClient {
	if c.Balancer == nil {
		c.Balancer = LeastLoaded()
	}
	return newXClient(d, RandomSelect, c)
}

// newXClient returns an XClient. A nil Balancer means that there is no such
// mode, which each call is told.
func newXClient(d Discovery, mode SelectMode, c Config) *XClient {
	opt := geerpc.DefaultOption
	if c.Option != nil {
		opt = c.Option
	}
	if isNil(d) {
		d = noDiscovery{}
	}
	xc := &XClient{d: d, mode: mode, timeout: c.Timeout,
		retries: budget.New(c.Retry.Budget, retryFloor), hedges: budget.New(budget.DefaultShare, hedgeFloor)}
	f := &xc.fleet
	f.opt = *opt
	logBadURLs(d, opt.Logger)
	f.ctx, f.cancel = context.WithCancelCause(context.Background())
	f.revive = f.reviveSoon
	f.addrs, f.balancer = d.GetAll, c.Balancer
	f.perHost, f.ejection = max(c.Connections, 1), c.Ejection.withDefaults()
	if f.balancer != nil {
		f.lister = listerOf(d)
	}
	f.subset, f.idle = newSubset(c.Subset, c.ClientID), c.idleTimeout()
	xc.do = xc.attempt
	if c.AttemptTimeout > 0 {
		xc.do = withAttemptTimeout(c.AttemptTimeout, xc.do)
	}
	xc.do = c.Hedge.intercept(c.Retry.intercept(xc.do, xc.retries), xc.hedges)
	if c.Timeout > 0 {
		xc.do = withTimeout(c.Timeout, xc.do)
	}
	for i := len(c.Interceptors) - 1; i >= 0; i-- {
		if intercept := c.Interceptors[i]; intercept != nil {
			xc.do = intercept(xc.do)
		}
	}
	return xc
}

// withTimeout gives calls a deadline that have none.
func withTimeout(d time.Duration, next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		ctx, cancel := within(ctx, d)
		defer cancel()
		return next(ctx, serviceMethod, args, reply)
	}
}

// withAttemptTimeout gives attempts a deadline, unless theirs is sooner.
func withAttemptTimeout(d time.Duration, next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return next(ctx, serviceMethod, args, reply)
	}
}

// within returns a context that ends in time, if ctx has no deadline of its own
// and there is a time.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || d <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// Call calls the named method on one of the servers; see geerpc.Client.Call.
// Besides what that fails with, it fails with an error of the Discovery, of
// which a *geerpc.Error with CodeUnavailable says that there are no servers;
// of geerpc.DialContext; or with geerpc.ErrShutdown after Close.
func (xc *XClient) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	if ctx == nil {
		return errNilContext
	}
	if xc.fleet.closed() {
		return geerpc.ErrShutdown
	}
	return xc.do(&attempts{Context: ctx, closed: xc.fleet.ctx.Done()}, serviceMethod, args, reply)
}

var errNilContext error = &geerpc.Error{Code: geerpc.CodeInvalidArgument, Where: geerpc.InClient, Ran: geerpc.RanNever,
	Message: "rpc client: nil context; use context.Background()"}

// Close closes all connections; calls in flight fail with an error that wraps
// geerpc.ErrShutdown, and none is made again. It returns nil when none are left,
// and may be called again. The Discovery is not touched. A Dialer, or method of
// the Discovery, that hangs keeps Close for no longer than two seconds.
func (xc *XClient) Close() error {
	xc.fleet.close()
	xc.fleet.reports.Wait(report.Grace)
	return nil
}

// maxPicks is how many servers may turn out to be no good before an attempt
// fails.
const maxPicks = 4

// attempt calls the named method on one server. A connection that was being
// closed before the call was sent is no reason to fail: it was no attempt yet.
func (xc *XClient) attempt(ctx context.Context, serviceMethod string, args, reply any) error {
	for n := 1; ; n++ {
		s, client, err := xc.pick(ctx, serviceMethod)
		if err != nil {
			return err
		}
		err = s.call(ctx, client, serviceMethod, args, reply)
		if err == nil || n >= maxPicks || !xc.mayTryOn(ctx, serviceMethod, client, err) {
			return err
		}
	}
}

// drained tells whether a call failed because its connection was being closed
// before it was sent.
func drained(ctx context.Context, client *geerpc.Client, err error) bool {
	return !client.IsAvailable() && ranOf(err) == geerpc.RanNever && ctx.Err() == nil // after Close there is no other: pick says so
}

// mayTryOn tells whether an attempt that failed was none yet: the connection was
// being closed, or the server does not have the method, while another may: in a
// rolling upgrade, say.
func (xc *XClient) mayTryOn(ctx context.Context, serviceMethod string, client *geerpc.Client, err error) bool {
	return drained(ctx, client, err) || ctx.Err() == nil && unknownThere(err) && xc.untried(ctx, serviceMethod)
}

// unknownThere tells whether the server of an attempt did not have the method.
func unknownThere(err error) bool {
	return geerpc.CodeOf(err) == geerpc.CodeNotFound && ranOf(err) == geerpc.RanNever
}

// untried tells whether there is a server for a method that the call has not
// been made on.
func (xc *XClient) untried(ctx context.Context, serviceMethod string) bool {
	a := attemptsOf(ctx)
	if a == nil || xc.fleet.lister == nil {
		return false
	}
	v, err := xc.view(ctx, serviceMethod)
	return err == nil && slices.ContainsFunc(v.servers, func(s *Server) bool { return !a.has(s) })
}

// pick returns a server to call and the connection to it. Where another server
// is connected no call waits for a dial. Where none is, but there are others, a
// call waits for none longer than its patience: by then another one may be.
func (xc *XClient) pick(ctx context.Context, serviceMethod string) (*Server, *geerpc.Client, error) {
	a := attemptsOf(ctx)
	var failed error // of a server that may be back soon
	for picks := 1; ; {
		news := xc.fleet.news.wait() // from before the choice, lest any is missed
		v, s, err := xc.choose(ctx, a, serviceMethod)
		if err != nil {
			return nil, nil, err
		}
		s, client := xc.connected(ctx, a, v, s)
		if a != nil {
			a.add(s) // before it is waited for: a hedge is to go elsewhere
		}
		if client == nil && (picks == maxPicks || !s.health.is(v.shunned&down)) {
			if s.health.is(down) {
				xc.fleet.dialForCall(s)
			}
			client, err = s.connect(ctx, v.others, news)
		}
		switch {
		case client != nil:
			return s, client, nil
		case err == errElsewhere: // which took its time
		case err != nil && (!v.others && err != errLeft || picks == maxPicks || ctx.Err() != nil || xc.fleet.closed()):
			if failed != nil && geerpc.CodeOf(err) == geerpc.CodeInvalidArgument {
				err = failed // lest one bad address makes the call look hopeless
			}
			return nil, nil, err
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
func (xc *XClient) connected(ctx context.Context, a *attempts, v *view, s *Server) (*Server, *geerpc.Client) {
	client := s.client()
	if client != nil || !v.others {
		return s, client
	}
	if xc.fleet.lister == nil { // Get is asked again
		if xc.fleet.anyConnected() {
			s.want()
		}
		return s, nil
	}
	if other, client := v.connected(ctx, a); client != nil {
		s.want()
		return other, client
	}
	return s, nil
}

// choose returns a server that has not been tried and may be called, if there
// is one, and the view that it is from.
func (xc *XClient) choose(ctx context.Context, a *attempts, serviceMethod string) (*view, *Server, error) {
	if xc.fleet.lister == nil {
		s, err := xc.get(ctx)
		return &anyView, s, err
	}
	v, err := xc.view(ctx, serviceMethod)
	if err != nil {
		return nil, nil, err
	}
	if s := v.due(ctx, a); s != nil {
		return v, s, nil
	}
	var s *Server
	for range maxPicks {
		if s = v.pick(ctx); s == nil {
			return nil, nil, errNoPick
		}
		if len(v.servers) == 1 || v.suits(ctx, s, a) {
			return v, s, nil
		}
		if a != nil {
			a.add(s) // ConsistentHash looks further
		}
	}
	return v, v.fallback(ctx, s, a), nil
}

var errNoPick = notSent(geerpc.CodeInternal, "rpc xclient: the Balancer picked none of the servers")

// anyView stands for what a Discovery does not tell that picks by itself.
var anyView = view{others: true, shunned: down}

// get asks a Discovery that has only the four methods for a server. It asks again
// when that names a server which should get no call at present, but not for ever:
// there may be no other.
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
	return xc.fleet.server(addr)
}

var errNoAddress = notSent(geerpc.CodeInvalidArgument, "rpc xclient: the Discovery returned an empty address")

// view returns the servers for calls of a method.
func (xc *XClient) view(ctx context.Context, serviceMethod string) (*view, error) {
	dot := strings.LastIndexByte(serviceMethod, '.')
	if dot <= 0 {
		return nil, notSent(geerpc.CodeInvalidArgument, "rpc xclient: the method %.256q: want \"Service.Method\"", serviceMethod)
	}
	return xc.fleet.view(ctx, serviceMethod[:dot])
}

// call calls the named method on a server, over another connection if the first
// was being closed before the call was sent.
func (xc *XClient) call(ctx context.Context, s *Server, serviceMethod string, args, reply any) error {
	for n := 1; ; n++ {
		client := s.client()
		if client == nil {
			s.dialNow(reviveInterval) // the call is for this server, and no other
			var err error
			if client, err = s.connect(ctx, false, nil); err != nil {
				return err
			}
		}
		err := s.call(ctx, client, serviceMethod, args, reply)
		if err == nil || n >= maxPicks || !drained(ctx, client, err) {
			return err
		}
	}
}

// all returns all servers that may offer the service of a method, each once.
func (xc *XClient) all(ctx context.Context, serviceMethod string) (servers []*Server, err error) {
	if xc.fleet.lister != nil {
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
		s, err := xc.fleet.server(e.Addr)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}
