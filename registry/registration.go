package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"geerpc/internal/report"
)

// A Registration keeps a server registered by sending heartbeats until Close. It
// is safe for concurrent use.
type Registration struct {
	senders []*sender          // one for each registry
	stop    context.CancelFunc // ends the heartbeats, and one in flight
	cancel  context.CancelFunc // gives up deregistering
	err     error              // what is wrong with the Config; set once

	transport *http.Transport // of the Registration itself, or nil
}

// Register registers a server with registries, and keeps it registered.
//
// It returns when the first heartbeat to each registry has succeeded or failed,
// within 5 seconds at most; Err reports which. No failure ends the heartbeats: a
// registry that was down, or has lost its list, knows the server again after the
// next one. They end with Close. A server that runs as long as its process may
// ignore the result.
//
// A Config that can't be what is meant is refused: nothing is sent, and Err returns
// the reason.
func Register(c Config) *Registration {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		c.Logger.Error("rpc registry: nothing is registered", "err", err) // for programs that ignore the result
		return refused(err)
	}
	return start(c, nil).begun()
}

// Heartbeat is Register for one registry, given its URL, with an address and an
// interval and nothing else. It accepts what programs written for GeeRPC may pass,
// though Err reports it: an interval of less than a second counts as a second; and
// an address that leads each caller to its own machine is registered, because such
// programs often run all servers and callers on one.
func Heartbeat(registry, addr string, interval time.Duration) *Registration {
	c := Config{Registries: []string{registry}, Addr: addr, Interval: interval}.withDefaults()
	if err := c.checkUsable(); err != nil {
		return refused(err)
	}
	err := c.checkPlausible()
	c.Interval = max(c.Interval, minInterval)
	r := start(c, nil)
	r.err = err
	return r.begun()
}

// refused returns a Registration that registers nothing.
func refused(err error) *Registration {
	r := start(Config{}, nil)
	r.err = err
	return r
}

// start starts the heartbeats. services, if not nil, is called for each of them.
// The Config has its defaults.
func start(c Config, services func() []string) *Registration {
	ctx, cancel := context.WithCancel(context.Background())
	beating, stop := context.WithCancel(ctx)
	r := &Registration{stop: stop, cancel: cancel}
	if c.Client == nil {
		c.Client, r.transport = newClient()
	}
	for _, at := range c.Registries {
		s := &sender{
			Config:   c,
			url:      at,
			instance: newInstance(),
			services: services,
			begun:    make(chan struct{}),
			done:     make(chan struct{}),
		}
		s.connected = time.Now()
		r.senders = append(r.senders, s)
		go s.run(ctx, beating) // ends with leave, which waits
	}
	return r
}

// newClient returns a client, and its transport: a copy of the default one, so that
// its connections can be closed, with TLS sessions, so that a new connection costs
// little. If the program has replaced the default transport by another type, the
// client uses that, and the transport is nil.
func newClient() (*http.Client, *http.Transport) {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return new(http.Client), nil
	}
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	if t.TLSClientConfig.ClientSessionCache == nil {
		t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return &http.Client{Transport: t}, t
}

// begun waits for the first heartbeats, and returns r.
func (r *Registration) begun() *Registration {
	for _, s := range r.senders {
		<-s.begun
	}
	return r
}

// Err joins what is wrong with the Config and the errors of the latest heartbeat to
// each registry, with errors.Join. It is nil if there are none.
func (r *Registration) Err() error {
	errs := []error{r.err}
	for _, s := range r.senders {
		errs = append(errs, s.lastErr())
	}
	return errors.Join(errs...)
}

// Close ends the heartbeats, one in flight included, and deregisters the server
// everywhere, so that callers don't find it any more. It returns when the registries
// have answered, within 5 seconds at most. It fails if one could not be reached,
// which forgets the server after its TTL, or if the Config was refused. A second
// Close waits for the first and returns the same.
func (r *Registration) Close() error { return r.leave(context.Background()) }

// leave is Close, but gives up requests when ctx ends.
func (r *Registration) leave(ctx context.Context) error {
	r.stop()
	defer context.AfterFunc(ctx, r.cancel)()
	var errs []error
	if len(r.senders) == 0 {
		errs = []error{r.err}
	}
	for _, s := range r.senders {
		<-s.done
		s.reports.Wait(report.Grace)
		errs = append(errs, s.leaveErr)
	}
	r.cancel()
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
	return errors.Join(errs...)
}
