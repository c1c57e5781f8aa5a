package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"geerpc/internal/backoff"
	"geerpc/internal/registryapi"
	"geerpc/internal/report"
)

const (
	// beatLimit limits the time of a request to the registry. A shorter interval
	// limits it as well, so that a request that hangs never costs a second beat.
	beatLimit = 5 * time.Second

	// firstRetry is how soon the next beat comes after one that failed. It backs
	// off from there to the interval.
	firstRetry = time.Second

	// A connection is kept from beat to beat, for so long: behind the registry's
	// name there may be another one by then, while the old one lives on. It is no
	// longer than callers keep servers that the other one doesn't know yet.
	renewAfter = 30 * time.Second

	// maxReasonBytes is how much of a refusal is read.
	maxReasonBytes = 256
)

// A Registration keeps a server registered, by heartbeats, until Close. It is
// safe for concurrent use.
type Registration struct {
	beaters []*beater          // one for each registry
	stop    context.CancelFunc // ends the beats, one under way at once
	cancel  context.CancelFunc // gives up the goodbyes
	err     error              // in the Config; set once

	transport *http.Transport // its own, or nil
}

// Register registers a server with registries, and goes on to say that it is
// alive.
//
// The first beat has been sent to each registry, or has failed, when Register
// returns, within 5 seconds at most; Err tells. No failure ends the beats: a
// registry that was down, or has forgotten everything, knows the server again
// after the next one. They end with Close; the result may be ignored by a server
// that runs to the end of its process.
//
// A Config that can't be what is meant is refused: nobody is told anything, and
// Err says why.
func Register(c Config) *Registration {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		c.Logger.Error("rpc registry: nothing is registered", "err", err) // who ignores the result hears of it too
		return refused(err)
	}
	return start(c, nil).begun()
}

// Heartbeat is Register for one registry, at a URL, with an address and an
// interval and nothing else. It makes do with what GeeRPC's programs may have,
// and Err says so: with an interval of less than a second the server beats once
// a second; an address that leads each caller to its own machine, which is where
// such programs have all their servers, is registered.
func Heartbeat(registry, addr string, interval time.Duration) *Registration {
	c := Config{Registries: []string{registry}, Addr: addr, Interval: interval}.withDefaults()
	if err := c.mistake(); err != nil {
		return refused(err)
	}
	doubt := c.doubt()
	c.Interval = max(c.Interval, minInterval)
	r := start(c, nil)
	r.err = doubt
	return r.begun()
}

// refused returns a Registration of nothing.
func refused(err error) *Registration {
	r := start(Config{}, nil)
	r.err = err
	return r
}

// start begins to beat. The services are asked for at each beat, unless nil.
// The Config has its defaults.
func start(c Config, services func() []string) *Registration {
	ctx, cancel := context.WithCancel(context.Background())
	beating, stop := context.WithCancel(ctx)
	r := &Registration{stop: stop, cancel: cancel}
	if c.Client == nil {
		c.Client, r.transport = newClient()
	}
	for _, at := range c.Registries {
		b := &beater{
			Config:   c,
			url:      at,
			instance: newInstance(),
			services: services,
			begun:    make(chan struct{}),
			ended:    make(chan struct{}),
		}
		b.connected = time.Now()
		r.beaters = append(r.beaters, b)
		go b.run(ctx, beating) // until leave, which waits
	}
	return r
}

// newClient returns a client with connections of its own, to close them, and
// sessions of TLS, so that a new connection costs little. If others have put
// something else in place of the default transport, that is used, and nil returned.
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

// begun returns r when the first beats are over.
func (r *Registration) begun() *Registration {
	for _, b := range r.beaters {
		<-b.begun
	}
	return r
}

// Err returns what is wrong with the Config and what the latest beats failed
// with, joined by errors.Join; nil if nothing is and every registry took it.
func (r *Registration) Err() error {
	errs := []error{r.err}
	for _, b := range r.beaters {
		errs = append(errs, b.lastErr())
	}
	return errors.Join(errs...)
}

// Close ends the beats and deregisters the server everywhere, so that callers
// don't find it any more. A beat under way is given up. It returns when the
// registries have been told, within 5 seconds at most, and fails if a registry could not be told, which forgets the server in
// time, or if nothing was registered at all. A second Close waits for the first
// and returns the same.
func (r *Registration) Close() error { return r.leave(context.Background()) }

// leave is Close, with requests given up when ctx ends.
func (r *Registration) leave(ctx context.Context) error {
	r.stop()
	defer context.AfterFunc(ctx, r.cancel)()
	var errs []error
	if len(r.beaters) == 0 {
		errs = []error{r.err}
	}
	for _, b := range r.beaters {
		<-b.ended
		b.reports.Wait(report.Grace)
		errs = append(errs, b.left)
	}
	r.cancel()
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// A beater beats one registry.
type beater struct {
	Config
	url      string
	instance string
	services func() []string // or nil

	begun chan struct{} // closed after the first beat
	ended chan struct{} // closed when no more requests come
	left  error         // what deregistering failed with; once ended

	connected time.Time // when the connection was made, or the one before was given up

	reports report.Queue // for the Logger: a beat must not wait for it

	mu  sync.Mutex // guards err
	err error      // of the latest beat
}

// run beats until the context beating ends, and then deregisters. The end of
// ctx interrupts that too.
func (b *beater) run(ctx, beating context.Context) {
	defer close(b.ended)
	err := b.beat(beating)
	close(b.begun)
	for retry := backoff.Backoff(0); b.pause(beating, err, &retry); err = b.beat(beating) {
	}
	if b.left = b.send(ctx, http.MethodDelete); b.left != nil {
		b.reports.Log(b.Logger, slog.LevelWarn, "rpc registry: not deregistered, the registry forgets the server in time", "err", b.left)
	}
}

// pause waits for the next heartbeat: not as long after one that failed. It
// returns false, at once, when beating has ended.
func (b *beater) pause(beating context.Context, err error, retry *backoff.Backoff) bool {
	pause := backoff.Vary(b.Interval, 10) // servers that were started together must not beat together
	if err == nil {
		*retry = 0
	} else if sooner := retry.Next(firstRetry, b.Interval); *retry < backoff.Backoff(b.Interval) {
		pause = min(pause, sooner)
	}
	return backoff.Sleep(beating, pause)
}

// beat registers the server, and returns what that failed with.
func (b *beater) beat(ctx context.Context) error {
	err := b.send(ctx, http.MethodPost)
	if err != nil && ctx.Err() != nil {
		return err // it was given up: that says nothing of the registry
	}
	b.mu.Lock()
	before := b.err
	b.err = err
	b.mu.Unlock()
	switch {
	case err != nil && before == nil:
		b.reports.Log(b.Logger, slog.LevelWarn, "rpc registry: a beat failed, and is going to be tried again", "err", err)
	case err == nil && before != nil:
		b.reports.Log(b.Logger, slog.LevelInfo, "rpc registry: beats arrive again", "registry", b.name())
	}
	return err
}

func (b *beater) lastErr() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// send makes one request to the registry.
func (b *beater) send(ctx context.Context, method string) error {
	ctx, cancel := context.WithTimeout(ctx, min(b.Interval, beatLimit))
	defer cancel()
	req, err := b.request(ctx, method)
	if err != nil {
		return err
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		return fmt.Errorf("rpc registry: %w", err)
	}
	defer resp.Body.Close()
	// A redirect may have made a GET of it, which is answered gladly.
	if resp.StatusCode/100 == 2 && resp.Request.Method == method {
		return nil
	}
	return fmt.Errorf("rpc registry: %s %s: status %.64s: %s",
		resp.Request.Method, resp.Request.URL.Redacted(), resp.Status, reason(resp))
}

// reason returns what a refusal says, without the beginning, which a registry
// writes for people who see nothing else.
func reason(resp *http.Response) string {
	nowhere := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed
	if nowhere && resp.Request.Method == http.MethodPost { // no registry says so
		return registryapi.PathHint
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxReasonBytes))
	text = bytes.TrimPrefix(bytes.TrimSpace(text), fmt.Append(nil, resp.StatusCode, " "))
	return string(bytes.TrimPrefix(text, []byte("rpc registry: ")))
}

// name returns the URL without the password that may be in it.
func (b *beater) name() string {
	u, _ := url.Parse(b.url) // Config.check has done so before
	return u.Redacted()
}

func (b *beater) request(ctx context.Context, method string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, b.url, nil)
	if err != nil {
		return nil, fmt.Errorf("rpc registry: %w", err)
	}
	c := b.Config
	if b.services != nil {
		c.Services = b.services()
	}
	if req.Header, err = c.header(); err != nil {
		return nil, err
	}
	req.Header.Set(registryapi.InstanceHeader, b.instance)
	req.Header["Idempotency-Key"] = nil // not sent: a beat on a connection that has just been closed is sent again
	req.Close = method != http.MethodPost || time.Since(b.connected) > renewAfter-b.Interval
	if req.Close {
		b.connected = time.Now()
	}
	return req, nil
}
