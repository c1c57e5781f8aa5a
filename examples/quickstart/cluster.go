package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"geerpc"
	"geerpc/registry"
	"geerpc/xclient"
)

// A Branch is a service of which several servers have one each.
type Branch struct{ name string }

// Name tells which one it is.
func (b Branch) Name(_ string, name *string) error {
	*name = b.name
	return nil
}

// A town is a cluster in one process: a registry, and servers that are found
// through it. In real life each is a process of its own, as in
// examples/cluster.
type town struct {
	registry *http.Server
	url      string // of the registry
	servers  []*geerpc.Server
	serving  sync.WaitGroup // all of these
	failed   chan error     // of servers that end before they are told to; room for all
}

func newTown() *town { return &town{failed: make(chan error, len(branches))} }

// branches are the names of the servers.
var branches = []string{"north", "south"}

// open starts the registry and two servers.
func (t *town) open() error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/_geerpc_/registry", registry.New(registry.DefaultTimeout))
	t.registry = &http.Server{Handler: mux}
	t.url = "http://" + lis.Addr().String() + "/_geerpc_/registry"
	t.serving.Go(func() { t.registry.Serve(lis) }) // ends with close, which waits
	for _, name := range branches {
		if err := t.add(name); err != nil {
			return err
		}
	}
	return nil
}

// add starts a server, which is registered while it serves.
func (t *town) add(name string) error {
	server := geerpc.NewServer()
	if err := server.Register(Branch{name}); err != nil {
		return err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	t.servers = append(t.servers, server)
	t.serving.Go(func() { // ends with Shutdown or close, which waits
		err := registry.Serve(server, lis, registry.Config{Registries: []string{t.url}})
		if !errors.Is(err, geerpc.ErrServerClosed) {
			t.failed <- fmt.Errorf("%s: %w", name, err)
		}
	})
	return nil
}

func (t *town) close() {
	for _, server := range t.servers {
		server.Close()
	}
	if t.registry != nil {
		t.registry.Close()
	}
	t.serving.Wait()
}

// cluster calls servers that a registry knows, while one of them leaves.
func (t *tour) cluster() error {
	town := newTown()
	defer town.close()
	if err := town.open(); err != nil {
		return err
	}
	d := xclient.NewGeeRegistryDiscovery(town.url, 0)
	defer d.Close()
	if err := town.listed(t.ctx, d, len(branches)); err != nil {
		return err
	}
	t.say("the registry", "lists 2 servers")
	xc := xclient.New(d, xclient.Config{Balancer: xclient.RoundRobin()})
	defer xc.Close()
	if err := xc.Broadcast(t.ctx, "Branch.Name", "", nil); err != nil { // connects to both
		return err
	}
	names := make(map[string]int)
	for range 10 {
		var name string
		if err := xc.Call(t.ctx, "Branch.Name", "", &name); err != nil {
			return err
		}
		names[name]++
	}
	north, south := names["north"], names["south"]
	if north == 0 || south == 0 || north+south != 10 {
		return fmt.Errorf("10 calls went to %v", names)
	}
	t.say("10 calls", "in turn: %d to north, %d to south", north, south)
	return t.leave(town, d, xc)
}

// listed waits until a discovery knows that many servers, or one has failed.
func (t *town) listed(ctx context.Context, d xclient.Discovery, n int) error {
	for {
		servers, err := d.GetAll()
		if err == nil && len(servers) == n {
			return nil
		}
		select {
		case err := <-t.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("the servers are %q, %v; want %d", servers, err, n)
		case <-time.After(time.Millisecond):
		}
	}
}

// leave has a server shut down while calls go on, none of which fails.
func (t *tour) leave(town *town, d xclient.Discovery, xc *xclient.XClient) error {
	ctx, stop := context.WithCancel(t.ctx)
	defer stop()
	var wg sync.WaitGroup
	var done atomic.Int64
	failed := make(chan error, 10)
	for range cap(failed) {
		wg.Go(func() { // ends with stop, or the first failure; waited for below
			for ctx.Err() == nil {
				if err := xc.Call(t.ctx, "Branch.Name", "", new(string)); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	err := town.servers[0].Shutdown(t.ctx)
	if err == nil {
		err = town.listed(t.ctx, d, len(branches)-1)
	}
	stop()
	wg.Wait()
	close(failed)
	if err != nil {
		return err
	}
	if err := <-failed; err != nil {
		return fmt.Errorf("a call failed while a server left: %w", err)
	}
	var name string
	if err := xc.Call(t.ctx, "Branch.Name", "", &name); err != nil || name != "south" {
		return fmt.Errorf("after north has left %q answers, %v", name, err)
	}
	t.say("north leaves", "by Shutdown, while 10 callers go on: %d calls, none failed", done.Load())
	t.say("from now on", "all calls go to %s", name)
	return nil
}
