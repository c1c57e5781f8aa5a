package xclient

import (
	"context"
	"io"
	"time"

	"geerpc"
	"geerpc/xclient/internal/budget"
)

// An XClient calls the servers of a Discovery. It has connections to those that
// it has called, which all calls share; makes new ones if they have broken or
// the server is about to shut down; and closes those to servers that are no
// longer listed once their calls have ended. It is safe for concurrent use, and
// ends with Shutdown or Close.
type XClient struct {
	set      endpointSet
	calls    callCounter
	d        Discovery
	mode     SelectMode
	config   Config          // as it was given, for the debug page
	made     time.Time       // when
	policies geerpc.CallFunc // pick and call, in all policies
	retries  *budget.Budget
	hedges   *budget.Budget
}

var (
	_ geerpc.Caller = (*XClient)(nil)
	_ io.Closer     = (*XClient)(nil)
)

// String names the XClient. (Printed as it is, its Option would show the Token.)
func (xc *XClient) String() string { return "rpc xclient" }

// GoString is String, for %#v.
func (xc *XClient) GoString() string { return xc.String() }

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
	xc := &XClient{d: d, mode: mode, config: c, made: time.Now(),
		retries: budget.New(c.Retry.Budget, retryFloor), hedges: budget.New(budget.DefaultShare, hedgeFloor)}
	set := &xc.set
	set.opt = *opt
	logBadURLs(d, opt.Logger)
	set.ctx, set.cancel = context.WithCancelCause(context.Background())
	set.redialAll = set.redialSoon
	set.getAll, set.balancer = d.GetAll, c.Balancer
	set.connsPerServer, set.ejection = max(c.Connections, 1), c.Ejection.withDefaults()
	if set.balancer != nil {
		set.source = listSourceOf(d)
	}
	set.subset, set.idleTimeout = newSubset(c.Subset, c.ClientID), c.idleTimeout()
	xc.policies = xc.callOnce
	if c.AttemptTimeout > 0 {
		xc.policies = withAttemptTimeout(c.AttemptTimeout, xc.policies)
	}
	xc.policies = nameMethod(c.Hedge.intercept(c.Retry.intercept(xc.policies, xc.retries), xc.hedges))
	if c.Timeout > 0 {
		xc.policies = withTimeout(c.Timeout, xc.policies)
	}
	for i := len(c.Interceptors) - 1; i >= 0; i-- {
		if intercept := c.Interceptors[i]; intercept != nil {
			xc.policies = intercept(xc.policies)
		}
	}
	return xc
}

// Call calls the named method on one of the servers; see geerpc.Client.Call.
// Besides what that fails with, it fails with an error of the Discovery, of
// which a *geerpc.Error with CodeUnavailable says that there are no servers;
// of geerpc.XDialContext; or with geerpc.ErrShutdown after Shutdown or Close.
func (xc *XClient) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	if ctx == nil {
		return errNilContext
	}
	if err := xc.begin(); err != nil {
		return err
	}
	defer xc.calls.end()
	return xc.call(ctx, serviceMethod, args, reply)
}

// call is Call for a call that has been admitted.
func (xc *XClient) call(ctx context.Context, serviceMethod string, args, reply any) error {
	return xc.policies(&callContext{Context: ctx, closed: xc.set.ctx.Done()}, serviceMethod, args, reply)
}

var errNilContext error = &geerpc.Error{Code: geerpc.CodeInvalidArgument, Where: geerpc.InClient, Ran: geerpc.RanNever,
	Message: "rpc client: nil context; use context.Background()"}
