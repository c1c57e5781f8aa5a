// Package registry tells the clients of a service where its servers are. A
// server registers by heartbeats and is forgotten when they cease; an
// xclient.GeeRegistryDiscovery asks for the list.
//
// It is plain HTTP, at /_geerpc_/registry unless put elsewhere, and all that is
// said is in headers, an address being what geerpc.XDial takes:
//
//	POST    X-Geerpc-Server: tcp@10.0.0.1:9999    registers, or beats
//	        X-Geerpc-Interval: 10s                when the next beat is due
//	DELETE  X-Geerpc-Server: tcp@10.0.0.1:9999    deregisters
//	GET     answered by X-Geerpc-Servers: tcp@10.0.0.1:9999,tcp@10.0.0.2:9999
package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	defaultPath = "/_geerpc_/registry"

	serverHeader   = "X-Geerpc-Server"
	serversHeader  = "X-Geerpc-Servers"
	intervalHeader = "X-Geerpc-Interval"
)

// DefaultTimeout is how long the DefaultGeeRegister keeps a server whose beats
// don't say when the next one is due.
const DefaultTimeout = 5 * time.Minute

const (
	ttlIntervals = 3              // a server lives for so many of the intervals that it announced,
	maxInterval  = 24 * time.Hour // each counted as no more than this

	// The list has to fit into a response header, of which Go's client takes
	// 10 MiB.
	maxServers      = 4096
	maxAddressBytes = 255
)

var errFull = errors.New("rpc registry: too many servers")

// A GeeRegistry is a list of servers that are alive, and the http.Handler that
// keeps and tells it. It is safe for concurrent use; the zero value never
// expires a server.
//
// It holds at most 4096 servers: with more, new ones are refused with status
// 503 until others have gone.
type GeeRegistry struct {
	timeout time.Duration

	mu      sync.Mutex // guards servers
	servers map[string]*ServerItem
}

// A ServerItem is a registered server.
type ServerItem struct {
	Addr string // as geerpc.XDial takes it

	expires time.Time // has a monotonic reading: no clock set anew expires anybody
}

// New returns an empty GeeRegistry. A server that announces the interval of its
// beats expires when it has been silent for three of them, any other one when
// it has been silent for timeout. With a timeout of zero, or less, no server
// ever expires.
func New(timeout time.Duration) *GeeRegistry {
	return &GeeRegistry{timeout: timeout}
}

// DefaultGeeRegister is the registry that HandleHTTP puts at its place.
var DefaultGeeRegister = New(DefaultTimeout)

// HandleHTTP puts the DefaultGeeRegister at /_geerpc_/registry of
// http.DefaultServeMux. It is still necessary to call http.Serve.
func HandleHTTP() { DefaultGeeRegister.HandleHTTP(defaultPath) }

// HandleHTTP puts the registry at path of http.DefaultServeMux. Doing so twice
// does no harm. A path that somebody else has taken is left as it is, and that
// is logged to slog.Default; http.Handle puts the registry on any other mux.
func (r *GeeRegistry) HandleHTTP(path string) {
	mux := http.DefaultServeMux
	taken, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	switch {
	case pattern != path:
		mux.Handle(path, r)
	case taken != http.Handler(r):
		slog.Error("rpc registry: HandleHTTP: the path is taken, and requests to it go elsewhere; put this registry on a mux of its own with mux.Handle(path, registry)", "path", path)
	}
}

// ServeHTTP answers GET with the list, registers on POST and deregisters on
// DELETE; see the package comment. An address that is blank, has a comma, a
// blank or a control character in it, or is longer than 255 bytes is refused
// with status 400, and so is an interval that is not a positive
// time.Duration.
func (r *GeeRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch req.Method {
	case http.MethodGet:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set(serversHeader, strings.Join(r.alive(), ","))
	case http.MethodPost, http.MethodDelete:
		r.change(w, req)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "405 must GET, POST or DELETE", http.StatusMethodNotAllowed)
	}
}

// change registers or deregisters a server.
func (r *GeeRegistry) change(w http.ResponseWriter, req *http.Request) {
	addr := req.Header.Get(serverHeader)
	if err := checkAddress(addr); err != nil {
		http.Error(w, "400 "+err.Error(), http.StatusBadRequest)
		return
	}
	if req.Method == http.MethodDelete {
		r.remove(addr)
		return
	}
	ttl, err := r.timeToLive(req.Header.Get(intervalHeader))
	if err != nil {
		http.Error(w, "400 "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := r.put(addr, ttl); err != nil {
		http.Error(w, "503 "+err.Error(), http.StatusServiceUnavailable)
	}
}

// checkAddress tells what is wrong with an address, if anything is.
func checkAddress(addr string) error {
	unfit := func(c rune) bool { return c == ',' || unicode.IsSpace(c) || unicode.IsControl(c) }
	switch {
	case addr == "":
		return errors.New("rpc registry: no address in " + serverHeader)
	case len(addr) > maxAddressBytes:
		return fmt.Errorf("rpc registry: address of %d bytes, allowed are %d", len(addr), maxAddressBytes)
	case strings.ContainsFunc(addr, unfit):
		return fmt.Errorf("rpc registry: address %q: no commas, blanks and control characters", addr)
	}
	return nil
}

// timeToLive returns how long a beat keeps a server. interval is what the beat
// says of the next one; old servers say nothing.
func (r *GeeRegistry) timeToLive(interval string) (time.Duration, error) {
	if interval == "" {
		return r.timeout, nil
	}
	d, err := time.ParseDuration(interval)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("rpc registry: %s: %.64q is not a positive duration", intervalHeader, interval)
	}
	return ttlIntervals * min(d, maxInterval), nil
}

// put registers a server, or keeps it for longer.
func (r *GeeRegistry) put(addr string, ttl time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.servers[addr]
	if s == nil {
		if len(r.servers) >= maxServers {
			r.expireLocked()
		}
		if len(r.servers) >= maxServers {
			return errFull
		}
		if r.servers == nil {
			r.servers = make(map[string]*ServerItem)
		}
		s = &ServerItem{Addr: addr}
		r.servers[addr] = s
	}
	s.expires = time.Now().Add(ttl)
	return nil
}

func (r *GeeRegistry) remove(addr string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.servers, addr)
}

// alive returns the addresses of the servers that have not expired, in order.
func (r *GeeRegistry) alive() []string {
	r.mu.Lock()
	r.expireLocked()
	addrs := make([]string, 0, len(r.servers))
	for addr := range r.servers {
		addrs = append(addrs, addr)
	}
	r.mu.Unlock()
	slices.Sort(addrs)
	return addrs
}

// expireLocked forgets the servers that have been silent for too long.
func (r *GeeRegistry) expireLocked() {
	if r.timeout <= 0 {
		return
	}
	now := time.Now()
	for addr, s := range r.servers {
		if !s.expires.After(now) {
			delete(r.servers, addr)
		}
	}
}
