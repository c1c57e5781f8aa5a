package xclient_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"geerpc/registry"
	"geerpc/xclient"
)

// A zoned is a Discovery of the servers that a registry lists in one zone. The
// rest is as with all that the registry lists.
type zoned struct {
	*xclient.GeeRegistryDiscovery
	zone string

	mu      sync.Mutex // guards what follows
	of      *xclient.List
	servers *xclient.List // those of that list which are in the zone
}

// Endpoints makes it an EndpointDiscovery. It returns the same list as long as
// that of the registry is the same.
func (d *zoned) Endpoints(ctx context.Context) (*xclient.List, error) {
	all, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of != all {
		elsewhere := func(e xclient.Endpoint) bool { return e.Metadata["zone"] != d.zone }
		d.of, d.servers = all, &xclient.List{Endpoints: slices.DeleteFunc(slices.Clone(all.Endpoints), elsewhere)}
	}
	return d.servers, nil
}

// Calls go only to the servers of the caller's own zone.
func ExampleEndpointDiscovery() {
	r := httptest.NewServer(registry.New(time.Minute))
	defer r.Close()
	for _, zone := range []string{"north", "south"} {
		addr, stop := offer(func(context.Context, string) (int, error) {
			fmt.Println("called in the", zone)
			return 0, nil
		})
		defer stop()
		registration := registry.Register(registry.Config{
			Registries: []string{r.URL}, Addr: addr, Metadata: map[string]string{"zone": zone},
		})
		defer registration.Close()
	}

	d := &zoned{GeeRegistryDiscovery: xclient.NewGeeRegistryDiscovery(r.URL, 0), zone: "south"}
	defer d.Close()
	xc := xclient.New(d, xclient.Config{})
	defer xc.Close()
	for range 3 {
		if err := xc.Call(context.Background(), "Stock.Count", "bolts", nil); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// called in the south
	// called in the south
	// called in the south
}
