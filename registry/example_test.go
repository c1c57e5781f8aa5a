package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"geerpc"
	"geerpc/registry"
)

// Arith is a service.
type Arith struct{}

// Double doubles.
func (Arith) Double(n int, reply *int) error { *reply = 2 * n; return nil }

// newRegistry returns the URL of a registry of its own; the function ends it.
func newRegistry() (string, func()) {
	mux := http.NewServeMux()
	mux.Handle("/_geerpc_/registry", registry.New(registry.DefaultTimeout))
	server := httptest.NewServer(mux)
	return server.URL + "/_geerpc_/registry", server.Close
}

// list asks a registry for its list, at once or, with a query, when it is
// another than that of an index.
func list(url, query string) (index uint64, servers []registry.ServerItem) {
	req, err := http.NewRequest(http.MethodGet, url+query, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Index   uint64
		Servers []registry.ServerItem
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		log.Fatal(err)
	}
	return answer.Index, answer.Servers
}

// One process has the registry, each server registers and says that it is
// alive, and whoever asks is told.
func Example() {
	url, end := newRegistry()
	defer end()
	registration := registry.Heartbeat(url, "tcp@10.0.0.1:9999", 0)
	if err := registration.Err(); err != nil {
		log.Fatal(err)
	}
	show := func() {
		resp, err := http.Get(url)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Printf("servers: %q\n", resp.Header.Get("X-Geerpc-Servers"))
	}
	show()

	// A server leaves before it shuts down.
	if err := registration.Close(); err != nil {
		log.Fatal(err)
	}
	show()
	// Output:
	// servers: "tcp@10.0.0.1:9999"
	// servers: ""
}

// A server is in the list for as long as it serves. That the list changes is
// seen by a watch, which is a GET that waits.
func ExampleServe() {
	url, end := newRegistry()
	defer end()
	server := geerpc.NewServer()
	if err := server.Register(new(Arith)); err != nil {
		log.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	index, _ := list(url, "")
	served := make(chan error, 1)
	go func() { // until Shutdown
		served <- registry.Serve(server, lis, registry.Config{Registries: []string{url}})
	}()
	index, servers := list(url, fmt.Sprintf("?index=%d&wait=30s", index))
	fmt.Println(len(servers), "server, which offers", servers[0].Services)

	// Shutdown deregisters first.
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served)
	_, servers = list(url, fmt.Sprintf("?index=%d&wait=30s", index))
	fmt.Println(len(servers), "servers")
	// Output:
	// 1 server, which offers [Arith]
	// rpc server: server closed
	// 0 servers
}

// Several registries are told everything that callers may want to know.
func ExampleRegister() {
	one, endOne := newRegistry()
	defer endOne()
	two, endTwo := newRegistry()
	defer endTwo()

	registration := registry.Register(registry.Config{
		Registries: []string{one, two},
		Addr:       "tcp@10.0.0.1:9999",
		Services:   []string{"Arith"},
		Weight:     3,
		Metadata:   map[string]string{"zone": "b"},
		Interval:   5 * time.Second,
	})
	defer registration.Close()
	if err := registration.Err(); err != nil {
		log.Print(err) // and it goes on trying
	}
	for _, url := range []string{one, two} {
		_, servers := list(url, "")
		for _, s := range servers {
			fmt.Println(s.Addr, s.Services, s.Weight, s.Metadata["zone"])
		}
	}
	// Output:
	// tcp@10.0.0.1:9999 [Arith] 3 b
	// tcp@10.0.0.1:9999 [Arith] 3 b
}
