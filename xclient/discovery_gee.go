package xclient

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
	"geerpc/internal/report"
)

// DefaultUpdateTimeout is for how long a list from a registry that can't be
// watched is used before the registry is asked again, where nothing else is
// said.
const DefaultUpdateTimeout = 10 * time.Second

// minPause is about how long it takes until what failed is tried again for the
// first time.
const minPause = 100 * time.Millisecond

var (
	_ Discovery = (*GeeRegistryDiscovery)(nil)
	_ io.Closer = (*GeeRegistryDiscovery)(nil)
)

// A GeeRegistryDiscovery is a Discovery of the servers that one or several
// registries list; see package registry. It is safe for concurrent use.
//
// It watches the registries: each is asked to answer as soon as its list
// changes (but not more than twice a second if it goes on changing), or, if it is of GeeRPC's original version, asked from time to time.
// The watch begins with the first use and ends with Close, or when nobody has
// used the list for a minute; the next use begins it again. That one, and those
// that come before a registry has answered it, have the list as it was, be it
// hours old. Who would rather wait calls Refresh after such a pause.
//
// Only before the first list is there does anybody wait, and no longer than
// until one registry has answered or all have failed to, for which they have 5
// seconds. After that the list is used whatever becomes of the registries:
//
//   - One that is down, hangs or says nonsense is asked again, after 100 ms at
//     first and every 5 seconds in the end. What it said last remains true, for
//     as long as it takes; but once it has failed for 30 seconds, what it alone
//     said is dropped if another one lists servers.
//   - One that lists nobody any more, or was started anew, has forgotten who is
//     there, or never knew: those that were there are kept for 30 seconds. If it
//     was started anew that is for as long as it gave them before, which is three
//     of their beats, unless they are back or 30 seconds is longer; if it is of
//     GeeRPC's original version, for 5 minutes.
//
// The list has the servers of all registries, each once, sorted by address. Of
// a server that several list, it has what the first of them says; but it is
// Silent only if they all say so.
type GeeRegistryDiscovery struct {
	*MultiServersDiscovery // the list

	// Client asks the registries; its transport is where their certificate
	// authority goes. Nil: one like http.DefaultClient. Its Timeout is not used,
	// and its transport's ResponseHeaderTimeout should be none or over 30 seconds:
	// a registry that is watched answers in 35 at most, another one in 5. Close
	// leaves its idle connections alone, for others may use them. Change it, and
	// the Logger, before the first use or not at all.
	Client *http.Client

	// Logger hears when a registry can't be asked, once, and when it can again;
	// and of URLs that are left out, when an XClient is made. Nil: nobody does,
	// but for the latter, which goes to the XClient's Option.Logger.
	Logger *slog.Logger

	timeout time.Duration // between two polls of a registry that can't be watched
	client  *http.Client  // in place of a nil Client
	badURLs []error       // what is wrong with them
	used    atomic.Bool   // the list, since the last tick of the watch, which is on
	reports report.Queue  // for the Logger

	state   sync.Mutex // guards what follows and all that the sources hold; never held during a request
	sources []*source  // as named, but for bad URLs; none: only Update and SetEndpoints have a say
	watch   *watch     // the latest, which may have ended; nil before the first
	due     time.Time  // until then Refresh has nothing to do
}

// NewGeeRegistryDiscovery returns a Discovery of the servers listed by the
// registry at a URL, or by those at several, separated by commas. A registry
// that can't be watched is asked anew each timeout, of at least 100 ms. Zero:
// DefaultUpdateTimeout; negative: not once it has listed servers. One that has
// an index all the same is asked each minute at least. Nothing is asked, and no
// goroutine runs, before the first use.
//
// A URL that is none of HTTP is left out where there are others; see Logger. If
// there is no good one, calls fail at once, with CodeInvalidArgument.
func NewGeeRegistryDiscovery(registryAddr string, timeout time.Duration) *GeeRegistryDiscovery {
	switch {
	case timeout == 0:
		timeout = DefaultUpdateTimeout
	case timeout < 0:
		timeout = math.MaxInt64
	}
	d := &GeeRegistryDiscovery{
		MultiServersDiscovery: NewMultiServerDiscovery(nil),
		timeout:               max(timeout, minPause),
		client:                new(http.Client),
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		d.client.Transport = t.Clone() // connections of its own, to close them
	} else {
		d.client.Transport = shared{http.DefaultTransport}
	}
	for url := range strings.SplitSeq(registryAddr, ",") {
		if s, err := newSource(strings.TrimSpace(url)); err != nil {
			d.badURLs = append(d.badURLs, err)
		} else {
			d.sources = append(d.sources, s)
		}
	}
	return d
}

// shared is a transport that others use too: it has no CloseIdleConnections,
// which would close theirs.
type shared struct{ http.RoundTripper }

// Refresh asks the registries, and waits until one has answered or all have
// failed to, if the last answer, or Update, is older than the timeout. An error
// is a *geerpc.Error, with CodeUnavailable, or CodeInvalidArgument if no URL is
// good; the list is then what it was.
func (d *GeeRegistryDiscovery) Refresh() error {
	if len(d.sources) == 0 {
		return d.unnamed()
	}
	d.state.Lock()
	w := d.useLocked()
	fresh := time.Now().Before(d.due)
	if !fresh && w.answered {
		w = d.beginLocked()
	}
	d.state.Unlock()
	if fresh {
		return nil
	}
	return w.wait(context.Background())
}

// Update replaces the list by servers, of which no more is known than their
// addresses. No registry is asked before the timeout; then they have their say
// again. It keeps a copy, and fails as that of MultiServersDiscovery does.
func (d *GeeRegistryDiscovery) Update(servers []string) error {
	if err := checkAddresses(servers); err != nil {
		return err
	}
	d.replace(addressed(servers))
	return nil
}

// SetEndpoints replaces the list as Update does, by a copy of endpoints. It
// fails as that of MultiServersDiscovery does.
func (d *GeeRegistryDiscovery) SetEndpoints(endpoints []Endpoint) error {
	own, err := cloneEndpoints(endpoints)
	if err != nil {
		return err
	}
	d.replace(own)
	return nil
}

// Get picks a server. It fails with a *geerpc.Error if there is none: because
// no registry could be asked, or none lists any.
func (d *GeeRegistryDiscovery) Get(mode SelectMode) (string, error) {
	if _, err := d.List(context.Background()); err != nil {
		return "", err
	}
	return d.MultiServersDiscovery.Get(mode)
}

// GetAll returns the addresses, at least one. It fails as Get does.
func (d *GeeRegistryDiscovery) GetAll() ([]string, error) {
	if _, err := d.List(context.Background()); err != nil {
		return nil, err
	}
	return d.MultiServersDiscovery.GetAll()
}

// List returns the list, which has at least one server. It fails as Get
// does, or with the code of the context's error if ctx ends while it waits for
// the first list.
func (d *GeeRegistryDiscovery) List(ctx context.Context) (*List, error) {
	if l := d.current(); d.used.Load() && len(l.Endpoints) > 0 {
		return l, nil
	}
	return d.use(ctx)
}

// Wait waits for the first server, and not for all that are about to come: a
// program that starts together with its
// servers may be there before them, and its calls would fail. If ctx ends
// before, which Close is no reason for, Wait fails with the code of the context's
// error; at once, with CodeInvalidArgument, if there is no registry to ask.
func (d *GeeRegistryDiscovery) Wait(ctx context.Context) error {
	if ctx == nil {
		return errNilContext
	}
	for {
		_, err := d.List(ctx)
		if geerpc.CodeOf(err) != geerpc.CodeUnavailable {
			return err
		}
		if !backoff.Sleep(ctx, minPause) {
			return notSent(geerpc.CodeOf(ctx.Err()), "rpc discovery: waiting for a server: %w: %w", ctx.Err(), err)
		}
	}
}

// Age returns how long ago a registry last confirmed the list: a watched one
// does so when something changes, and every 30 seconds, but not as long as
// servers are kept that it does not list any more. It is the longest
// time.Duration if none ever has.
func (d *GeeRegistryDiscovery) Age() time.Duration {
	d.state.Lock()
	defer d.state.Unlock()
	age := time.Duration(math.MaxInt64)
	for _, s := range d.sources {
		if !s.confirmed.IsZero() {
			age = min(age, time.Since(s.confirmed))
		}
	}
	return age
}

// Close ends the watch, and returns nil when nothing of it is left running. The
// list stays; using it again begins a new watch. An XClient does not close its
// Discovery.
func (d *GeeRegistryDiscovery) Close() error {
	d.state.Lock()
	w := d.stopLocked()
	d.state.Unlock()
	w.join()
	d.reports.Wait(report.Grace)
	return nil
}

// use is the way of the first call after a tick, and of those without a list.
func (d *GeeRegistryDiscovery) use(ctx context.Context) (*List, error) {
	if l := d.current(); len(l.Endpoints) > 0 && ctx.Err() != nil {
		return l, nil // no use: the XClient of a type that embeds d compares its servers, calls or none
	}
	l, w := d.look()
	switch {
	case len(l.Endpoints) > 0:
		return l, nil
	case len(d.sources) == 0:
		return nil, d.unnamed()
	case w == nil:
		return nil, d.nobody()
	}
	err := w.wait(ctx)
	if l = d.current(); len(l.Endpoints) > 0 {
		return l, nil
	}
	switch {
	case err == nil:
		err = d.nobody()
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil: // not the caller's
		err = awaited{err}
	}
	return nil, err
}

// look returns the list and the watch to wait for if it is empty: none if a
// registry is sure to say so at once when that changes, otherwise one that asks
// now, rather than after a pause.
func (d *GeeRegistryDiscovery) look() (*List, *watch) {
	d.state.Lock()
	defer d.state.Unlock()
	if len(d.sources) == 0 {
		return d.current(), nil
	}
	l, w := d.current(), d.useLocked()
	switch {
	case len(l.Endpoints) > 0 || !w.answered:
		return l, w
	case d.watchedLocked():
		return l, nil
	}
	return l, d.beginLocked()
}

// replace has the registries' list replaced by another one. It takes the place
// of what the first registry has said, until that answers.
func (d *GeeRegistryDiscovery) replace(endpoints []Endpoint) {
	d.state.Lock()
	now := time.Now()
	for _, s := range d.sources {
		s.servers, s.kept, s.index = nil, nil, 0
		if len(endpoints) > 0 {
			s.notBefore = now.Add(d.timeout)
		}
	}
	if len(d.sources) > 0 {
		d.sources[0].servers = endpoints
	}
	d.due = now.Add(d.timeout)
	d.set(sorted(endpoints))
	w := d.stopLocked() // what it has asked for is outdated; who waits for that finds the list
	d.state.Unlock()
	w.join()
}

// watchedLocked tells whether a registry is sure to say so at once when there
// is a server.
func (d *GeeRegistryDiscovery) watchedLocked() bool {
	for _, s := range d.sources {
		if s.index != 0 && s.failing.IsZero() {
			return true
		}
	}
	return false
}

// asker returns what asks the registries.
func (d *GeeRegistryDiscovery) asker() *http.Client {
	if d.Client == nil {
		return d.client
	}
	c := *d.Client
	c.Timeout = 0
	return &c
}
