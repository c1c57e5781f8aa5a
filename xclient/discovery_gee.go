package xclient

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"geerpc"
)

// DefaultUpdateTimeout is for how long a list from a registry is used before
// the registry is asked again, where nothing else is said.
const DefaultUpdateTimeout = 10 * time.Second

const (
	refreshLimit = 5 * time.Second // for a registry to answer
	retryPause   = time.Second     // until it is asked again if it didn't, and a list is there

	serversHeader = "X-Geerpc-Servers"
)

var _ Discovery = (*GeeRegistryDiscovery)(nil)

// A GeeRegistryDiscovery is a Discovery of the servers that a registry lists;
// see package registry. It is safe for concurrent use.
//
// Only before the first list is there does anybody wait for the registry, which
// has 5 seconds to answer. After that a list that has become too old is used
// until the registry has answered with the next: a registry that is down, hangs,
// says nonsense or lists nobody is no reason to give up servers that were good.
// One request is under way at a time.
type GeeRegistryDiscovery struct {
	*MultiServersDiscovery
	registry string        // URL
	timeout  time.Duration // for which a list is used
	client   *http.Client

	state  sync.Mutex // guards what follows; never held during a request
	due    time.Time  // when the registry is to be asked next
	flight *flight    // the request under way, or nil
}

// A flight is a request to the registry, shared by all who wait for it.
type flight struct {
	overtaken bool          // by an Update; guarded by state
	landed    chan struct{} // closed when it has ended
	err       error         // then
}

// NewGeeRegistryDiscovery returns a Discovery of the servers listed by the
// registry at a URL, which it asks at the first use. A list is used for timeout
// before the registry is asked again. Zero: DefaultUpdateTimeout; negative: a
// list is used for good.
func NewGeeRegistryDiscovery(registryAddr string, timeout time.Duration) *GeeRegistryDiscovery {
	switch {
	case timeout == 0:
		timeout = DefaultUpdateTimeout
	case timeout < 0:
		timeout = math.MaxInt64
	}
	return &GeeRegistryDiscovery{
		MultiServersDiscovery: NewMultiServerDiscovery(nil),
		registry:              registryAddr,
		timeout:               timeout,
		client:                &http.Client{Timeout: refreshLimit},
	}
}

// Refresh asks the registry, and waits for its answer, if the list is older
// than the timeout. An error is a *geerpc.Error; the list is then what it was.
func (d *GeeRegistryDiscovery) Refresh() error {
	if f := d.refreshIfDue(); f != nil {
		return f.wait(context.Background())
	}
	return nil
}

// Update replaces the list by a copy of servers, and the registry is not asked
// before the timeout. It returns nil.
func (d *GeeRegistryDiscovery) Update(servers []string) error {
	d.state.Lock()
	defer d.state.Unlock()
	if d.flight != nil {
		d.flight.overtaken = true
	}
	d.due = time.Now().Add(d.timeout)
	return d.MultiServersDiscovery.Update(servers)
}

// Get picks a server. It fails with a *geerpc.Error if there is none: because
// the registry could not be asked, or doesn't know any.
func (d *GeeRegistryDiscovery) Get(mode SelectMode) (string, error) {
	return d.get(context.Background(), mode)
}

// GetAll returns a copy of the list. It fails as Get does.
func (d *GeeRegistryDiscovery) GetAll() ([]string, error) {
	return d.getAll(context.Background())
}

func (d *GeeRegistryDiscovery) get(ctx context.Context, mode SelectMode) (string, error) {
	if err := d.ready(ctx); err != nil {
		return "", err
	}
	return d.MultiServersDiscovery.Get(mode)
}

func (d *GeeRegistryDiscovery) getAll(ctx context.Context) ([]string, error) {
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	return d.MultiServersDiscovery.GetAll()
}

// ready sees to it that the registry is asked when it is time to. It waits for
// the answer only if there is no list to go on with.
func (d *GeeRegistryDiscovery) ready(ctx context.Context) error {
	f := d.refreshIfDue()
	if f == nil || !d.empty() {
		return nil
	}
	return f.wait(ctx)
}

// refreshIfDue returns the request under way, having begun one if it is time
// to or there is no list; nil if there is no need for one.
func (d *GeeRegistryDiscovery) refreshIfDue() *flight {
	d.state.Lock()
	defer d.state.Unlock()
	if d.flight == nil && (d.empty() || !time.Now().Before(d.due)) {
		d.flight = &flight{landed: make(chan struct{})}
		go d.refresh(d.flight) // ends within refreshLimit
	}
	return d.flight
}

// refresh makes the request and takes over what it brings.
func (d *GeeRegistryDiscovery) refresh(f *flight) {
	servers, err := d.ask()
	d.state.Lock()
	defer d.state.Unlock()
	switch {
	case f.overtaken: // by a newer list
	case err != nil:
		f.err = notSent(geerpc.CodeUnavailable, "rpc discovery: %w", err)
		d.due = time.Now().Add(min(retryPause, d.timeout))
	default:
		d.MultiServersDiscovery.Update(servers)
		d.due = time.Now().Add(d.timeout)
	}
	d.flight = nil
	close(f.landed)
}

// wait returns the error of the request, once it has ended.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.landed:
		return f.err
	case <-ctx.Done():
		return notSent(geerpc.CodeOf(ctx.Err()), "rpc discovery: waiting for the registry: %w", ctx.Err())
	}
}

// ask returns what the registry lists, one server at least.
func (d *GeeRegistryDiscovery) ask() ([]string, error) {
	req, err := http.NewRequest(http.MethodGet, d.registry, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true // the next one is far away
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close() // whatever is in it, and be it endless: the list is in the header
	lists := resp.Header.Values(serversHeader)
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("registry %s: status %.64s", resp.Request.URL.Redacted(), resp.Status)
	case len(lists) == 0:
		return nil, fmt.Errorf("registry %s: no %s in the answer; is it a registry?", resp.Request.URL.Redacted(), serversHeader)
	}
	servers := parseServers(strings.Join(lists, ","))
	if len(servers) == 0 {
		return nil, fmt.Errorf("registry %s: no available servers", resp.Request.URL.Redacted())
	}
	return servers, nil
}

// parseServers returns the addresses in a list, but for those that nobody
// could ever dial.
func parseServers(list string) []string {
	var servers []string
	for addr := range strings.SplitSeq(list, ",") {
		if addr = strings.TrimSpace(addr); plausible(addr) {
			servers = append(servers, addr)
		}
	}
	return servers
}
