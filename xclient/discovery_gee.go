package xclient

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/internal/backoff"
	"geerpc/internal/registryapi"
	"geerpc/internal/report"
)

// DefaultUpdateTimeout is how long a list from a registry that can't be watched is
// used before the registry is asked again, by default.
const DefaultUpdateTimeout = 10 * time.Second

// minPause is the pause before something that failed is first tried again, give or
// take a fifth.
const minPause = 100 * time.Millisecond

var (
	_ Discovery = (*GeeRegistryDiscovery)(nil)
	_ io.Closer = (*GeeRegistryDiscovery)(nil)
)

// A GeeRegistryDiscovery is a Discovery of the servers that one or several
// registries list; see package registry. It is safe for concurrent use.
//
// It watches the registries: each is asked to answer as soon as its list changes,
// at most twice a second if it goes on changing. A registry of GeeRPC's original
// version is asked from time to time. The watch begins with the first use. It ends
// with Close, or when the list has not been used for a minute; the next use begins
// it again. Until a registry has answered then, calls use the list as it was, even
// if it is hours old. To wait instead, call Refresh after such a pause.
//
// Calls wait only for the first list: until one registry has answered or all have
// failed, for 5 seconds at most. After that, the list is used whatever happens to the
// registries:
//
//   - One that is down, hangs or answers nonsense is asked again, first after 100
//     ms, in the end every 5 seconds. Its last list stays in use for as long as it
//     takes. But when it has failed for 30 seconds, servers that it alone listed
//     are dropped if another registry lists servers.
//   - One that suddenly lists no servers, or was restarted, has forgotten them. They
//     are kept for 30 seconds, or until it lists them again. If it was restarted,
//     they are kept for their TTL, which is three of their intervals, if that is
//     longer; if it is of GeeRPC's original version, for 5 minutes.
//
// The list has the servers of all registries, each once, sorted by address. If
// several list a server, the first of them counts, except that the server is Silent
// only if they all say so.
type GeeRegistryDiscovery struct {
	*MultiServersDiscovery // the list

	// Client asks the registries. Set its transport if their certificates need an
	// authority of your own. Nil: one like http.DefaultClient. Its Timeout is not used.
	// Its transport's ResponseHeaderTimeout should be none or over 30 seconds: a registry
	// that is watched answers within 35 seconds, another one within 5. Close leaves its
	// idle connections alone, because others may use them. It must not be changed after
	// the first use; nor must Logger.
	Client *http.Client

	// Logger gets a message when a registry begins to fail and when it answers again,
	// and for each bad URL when an XClient is made. Nil: there are none, except that
	// bad URLs are logged to the XClient's Option.Logger.
	Logger *slog.Logger

	timeout time.Duration // between two polls of a registry that can't be watched
	client  *http.Client  // used if Client is nil
	badURLs []error       // what is wrong with the URLs that are left out
	used    atomic.Bool   // whether the list was used since the last tick of the watch, which is running
	reports report.Queue  // for the Logger

	state   sync.Mutex // guards what follows and the sources; never held during a request
	sources []*source  // in the order of the URLs; none: only Update and SetEndpoints set the list
	watch   *watch     // the latest, which may have ended; nil before the first
	due     time.Time  // until then, Refresh does nothing
}

// NewGeeRegistryDiscovery returns a Discovery of the servers listed by the
// registry at a URL, or by those at several, separated by commas. A registry
// that can't be watched is asked again after each timeout, of at least 100 ms. Zero:
// DefaultUpdateTimeout; negative: never again once it has listed servers, unless it
// sends an index: then each minute at least. Before the first use nothing is asked,
// and no goroutine runs.
//
// Bad URLs are left out; see Logger. If there is no good one, calls fail at once,
// with CodeInvalidArgument.
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
	for _, url := range registryapi.SplitURLs(registryAddr) {
		if s, err := newSource(url); err != nil {
			d.badURLs = append(d.badURLs, err)
		} else {
			d.sources = append(d.sources, s)
		}
	}
	return d
}

// shared is a transport that others use too. It hides CloseIdleConnections, which
// would close their connections.
type shared struct{ http.RoundTripper }

// Refresh asks the registries if the last answer, or Update, is older than the
// timeout. It waits until one has answered or all have failed. An error
// is a *geerpc.Error, with CodeUnavailable, or CodeInvalidArgument if no URL is
// good; the list is then what it was.
func (d *GeeRegistryDiscovery) Refresh() error {
	if len(d.sources) == 0 {
		return d.errNoRegistry()
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

// Update replaces the list by servers of which only the addresses are known. The
// registries are asked again after the timeout, and replace that list. It keeps a
// copy, and fails as that of MultiServersDiscovery does.
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

// Wait waits until the list has a server. A program that starts together with its
// servers may be ready before them; without Wait, its calls would fail. Wait returns
// with the first server, before others have registered. If ctx ends first, it fails
// with the code of the context's error; Close does not end it. If there is no
// registry to ask, it fails at once, with CodeInvalidArgument.
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

// Age returns how long ago a registry last confirmed the list. A watched one does
// so after each change and every 30 seconds, but not while servers are kept that it
// doesn't list any more. Age is the longest time.Duration if none ever has.
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

// Close ends the watch, and returns nil when its goroutines are gone. The list
// stays; using it again begins a new watch. An XClient does not close its Discovery.
func (d *GeeRegistryDiscovery) Close() error {
	d.state.Lock()
	w := d.stopLocked()
	d.state.Unlock()
	w.join()
	d.reports.Wait(report.Grace)
	return nil
}

// use returns the list for the first call after a tick, and for calls without a
// list.
func (d *GeeRegistryDiscovery) use(ctx context.Context) (*List, error) {
	if l := d.current(); len(l.Endpoints) > 0 && ctx.Err() != nil {
		return l, nil // not a use: an XClient only looks whether the list has changed
	}
	l, w := d.lookUp()
	switch {
	case len(l.Endpoints) > 0:
		return l, nil
	case len(d.sources) == 0:
		return nil, d.errNoRegistry()
	case w == nil:
		return nil, d.errNobodyListed()
	}
	err := w.wait(ctx)
	if l = d.current(); len(l.Endpoints) > 0 {
		return l, nil
	}
	switch {
	case err == nil:
		err = d.errNobodyListed()
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil: // not the caller's
		err = waitedError{err}
	}
	return nil, err
}

// lookUp returns the list and, if it is empty, the watch to wait for: nil if a
// watched registry would have reported any server, else one that asks now, and not
// after a pause.
func (d *GeeRegistryDiscovery) lookUp() (*List, *watch) {
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

// replace replaces the list. The new one counts as the first registry's, until that
// answers.
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
	w := d.stopLocked() // its answers would be outdated; callers waiting for them find the list
	d.state.Unlock()
	w.join()
}

// watchedLocked reports whether a registry is being watched, so that a new server
// is learned of at once.
func (d *GeeRegistryDiscovery) watchedLocked() bool {
	for _, s := range d.sources {
		if s.index != 0 && s.failing.IsZero() {
			return true
		}
	}
	return false
}

// httpClient returns the client that asks the registries.
func (d *GeeRegistryDiscovery) httpClient() *http.Client {
	if d.Client == nil {
		return d.client
	}
	c := *d.Client
	c.Timeout = 0
	return &c
}
