// Package xclient calls services that run on more than one server. A Discovery
// knows the servers, and an XClient picks one for each call, or calls all of
// them, over connections that it opens when they are needed.
//
//	d := xclient.NewGeeRegistryDiscovery("http://10.0.0.1:9999/_geerpc_/registry", 0)
//	xc := xclient.NewXClient(d, xclient.RandomSelect, nil)
//	defer xc.Close()
//	err := xc.Call(ctx, "Arith.Add", Args{1, 2}, &sum)
//
// A server's address is what geerpc.XDial takes: tcp@10.0.0.1:9999.
package xclient

import (
	"context"
	"errors"
	"io"

	"geerpc"
)

// An XClient calls the servers of a Discovery. It has one connection to each
// server that it has called, which all calls share; makes a new one if that has
// broken or the server is about to shut down; and closes those to servers that
// are no longer listed once their calls have ended. It is safe for concurrent
// use, and ends with Close.
//
// A call that fails is not repeated, be it that its server could not be
// reached.
type XClient struct {
	d    Discovery
	mode SelectMode
	pool *pool
}

var (
	_ geerpc.Caller = (*XClient)(nil)
	_ io.Closer     = (*XClient)(nil)
)

// NewXClient returns an XClient for the servers of d, one of which mode picks
// for each call. Connections are made as opt says, which is copied; nil is
// geerpc.DefaultOption. Its Dialer gets a context that lasts as long as the
// connection is wanted, not the one of a call: calls share connections, and
// each waits for them under its own context.
func NewXClient(d Discovery, mode SelectMode, opt *geerpc.Option) *XClient {
	if opt != nil {
		o := *opt
		opt = &o
	}
	return &XClient{d: d, mode: mode, pool: newPool(opt, d.GetAll)}
}

// Call calls the named method on one of the servers; see geerpc.Client.Call.
// Besides what that fails with, it fails with an error of the Discovery, of
// which a *geerpc.Error with CodeUnavailable says that there are no servers;
// of geerpc.DialContext; or with geerpc.ErrShutdown after Close.
func (xc *XClient) Call(ctx context.Context, serviceMethod string, args, reply any) error {
	if xc.pool.closed() {
		return geerpc.ErrShutdown
	}
	addr, err := xc.pick(ctx)
	if err != nil {
		return err
	}
	return xc.call(ctx, addr, serviceMethod, args, reply)
}

// call calls the named method on one server.
func (xc *XClient) call(ctx context.Context, addr, serviceMethod string, args, reply any) error {
	c, err := xc.pool.acquire(ctx, addr)
	if err != nil {
		return err
	}
	defer xc.pool.release(c)
	return c.client.Call(ctx, serviceMethod, args, reply)
}

// Close closes all connections; calls in flight fail with an error that wraps
// geerpc.ErrShutdown. It returns nil when none are left, and may be called
// again. The Discovery is not touched.
func (xc *XClient) Close() error {
	xc.pool.close()
	return nil
}

// pick asks the Discovery for a server. The interface has no context; our own
// Discovery, which may have to wait for a registry, takes one all the same.
func (xc *XClient) pick(ctx context.Context) (string, error) {
	if d, ok := xc.d.(*GeeRegistryDiscovery); ok {
		return d.get(ctx, xc.mode)
	}
	return xc.d.Get(xc.mode)
}

// all asks the Discovery for all servers, as pick does for one.
func (xc *XClient) all(ctx context.Context) ([]string, error) {
	if d, ok := xc.d.(*GeeRegistryDiscovery); ok {
		return d.getAll(ctx)
	}
	return xc.d.GetAll()
}

// notSent returns the error of a call that failed before it was sent. The
// format is that of fmt.Errorf.
func notSent(code geerpc.Code, format string, a ...any) error {
	err := geerpc.Errorf(code, format, a...)
	var e *geerpc.Error
	errors.As(err, &e)
	e.Where, e.Ran = geerpc.InClient, geerpc.RanNever
	return err
}
