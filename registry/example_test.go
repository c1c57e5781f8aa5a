package registry_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"geerpc/registry"
)

func Example() {
	// One process has the registry,
	mux := http.NewServeMux()
	mux.Handle("/_geerpc_/registry", registry.New(time.Minute))
	server := httptest.NewServer(mux)
	defer server.Close()
	url := server.URL + "/_geerpc_/registry"

	// each server registers and says that it is alive,
	registration := registry.Heartbeat(url, "tcp@10.0.0.1:9999", 0)
	if err := registration.Err(); err != nil {
		log.Fatal(err)
	}

	// and whoever asks is told.
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
