package main

import (
	"time"

	"geerpc"
)

const (
	// workers and workTime are what the resource can do: about a thousand
	// calls a second.
	workers  = 4
	workTime = 4 * time.Millisecond
)

// A Resource is something of which there is only so much: connections to a
// database, a disk, cores. Who wants it waits in a queue, and does not look whether
// its caller still does.
type Resource struct{ free chan struct{} }

func newResource() *Resource {
	r := &Resource{make(chan struct{}, workers)}
	for range workers {
		r.free <- struct{}{}
	}
	return r
}

// Use waits for the resource and works with it.
func (r *Resource) Use(_ int, reply *bool) error {
	<-r.free
	time.Sleep(workTime)
	r.free <- struct{}{}
	*reply = true
	return nil
}

// A service is a server and connections to it.
type service struct {
	server  *geerpc.Server
	clients []*geerpc.Client
}

// connections is how many there are: a few, as from a few other services.
const connections = 8

// startService starts a server with interceptors, and connects to it over pipes: what
// is to be short is the resource, and not the network.
func startService(interceptors ...geerpc.Interceptor) (*service, error) {
	s := &service{server: geerpc.NewServer()}
	s.server.Interceptors = interceptors
	if err := s.server.Register(newResource()); err != nil {
		return nil, err
	}
	lis := geerpc.NewPipeListener()
	go s.server.Serve(lis) // ends at Close
	for range connections {
		client, err := geerpc.Dial("pipe", "", &geerpc.Option{Dialer: lis.DialContext})
		if err != nil {
			s.close()
			return nil, err
		}
		s.clients = append(s.clients, client)
	}
	return s, nil
}

func (s *service) close() {
	for _, client := range s.clients {
		client.Close()
	}
	s.server.Close()
}
