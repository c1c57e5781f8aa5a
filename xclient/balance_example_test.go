package xclient_test

import (
	"context"
	"fmt"

	"geerpc/xclient"
)

// inZone is a Balancer that sends calls to servers of one zone, the caller's
// own, and to others only when that has none.
type inZone string

// Picker sorts the servers out once, so that nothing is left to do when one is
// picked; which one of them that is, LeastLoaded decides.
func (zone inZone) Picker(servers []*xclient.Server) xclient.Picker {
	var near []*xclient.Server
	for _, s := range servers {
		if s.Endpoint().Metadata["zone"] == string(zone) {
			near = append(near, s)
		}
	}
	if len(near) == 0 {
		near = servers
	}
	return xclient.LeastLoaded().Picker(near)
}

// A balancer of one's own.
func ExampleBalancer() {
	var servers []*xclient.Server
	for i, zone := range []string{"north", "south", "north"} {
		servers = append(servers, xclient.NewServer(xclient.Endpoint{
			Addr:     fmt.Sprintf("tcp@10.0.0.%d:9999", i+1),
			Metadata: map[string]string{"zone": zone},
		}))
	}
	p := inZone("south").Picker(servers)
	for range 3 {
		fmt.Println(p.Pick(context.Background()).Endpoint().Addr)
	}
	// Output:
	// tcp@10.0.0.2:9999
	// tcp@10.0.0.2:9999
	// tcp@10.0.0.2:9999
}

// Calls with the same key go to the same server.
func ExampleConsistentHash() {
	servers := []*xclient.Server{
		xclient.NewServer(xclient.Endpoint{Addr: "tcp@10.0.0.1:9999"}),
		xclient.NewServer(xclient.Endpoint{Addr: "tcp@10.0.0.2:9999"}),
		xclient.NewServer(xclient.Endpoint{Addr: "tcp@10.0.0.3:9999"}),
	}
	p := xclient.ConsistentHash().Picker(servers)
	for _, user := range []string{"alice", "bob", "carol", "alice"} {
		ctx := xclient.WithHashKey(context.Background(), user)
		fmt.Println(user, p.Pick(ctx).Endpoint().Addr)
	}
	// Output:
	// alice tcp@10.0.0.2:9999
	// bob tcp@10.0.0.2:9999
	// carol tcp@10.0.0.1:9999
	// alice tcp@10.0.0.2:9999
}
