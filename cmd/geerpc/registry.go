package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
	"unicode"

	"geerpc"
	"geerpc/internal/registryapi"
	"geerpc/registry"
)

// The limits of the HTTP server. A watch sets its own; see
// registry.GeeRegistry.ServeHTTP.
const (
	headerTimeout  = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	bodyTimeout    = 5 * time.Second // to receive a body, which no handler reads
	stopTimeout    = 5 * time.Second // for requests in flight when the process stops

	healthPath = "/healthz"
)

// registryFlags are the flags of geerpc registry.
type registryFlags struct {
	addr, path, tokenFile string
	certFile, keyFile     string
	grace, timeout        time.Duration
	json                  bool
}

var registryCommand = &command{
	name: "registry", about: "keep the list of servers that are alive, and tell it over HTTP or HTTPS",
	define: defineRegistry,
}

func defineRegistry(set *flag.FlagSet) action {
	f := new(registryFlags)
	set.StringVar(&f.addr, "addr", ":9999", "the `address` to listen on")
	set.StringVar(&f.path, "path", registryapi.DefaultPath, "the `path` of the registry")
	set.StringVar(&f.tokenFile, "token-file", "", "a `file` with the token that servers must present, or with several, one a line, of which any will do; it is read again when it changes; none: everybody may register")
	set.StringVar(&f.certFile, "cert-file", "", "a `file` with the certificate for https, and those between it and its authority, in PEM; it is read again when it changes; none: http")
	set.StringVar(&f.keyFile, "key-file", "", "the `file` with the certificate's key, in PEM")
	set.DurationVar(&f.grace, "grace", registry.DefaultGrace, "for how long servers are kept when most fall silent at once; negative: not at all")
	set.DurationVar(&f.timeout, "timeout", registry.DefaultTimeout, "for how long a server is kept that doesn't say when it beats next; 0: no server ever expires")
	set.BoolVar(&f.json, "json", false, "print the URL and the log as JSON")
	return func(ctx context.Context, std stdio, _ []string) error {
		switch {
		case !isPath(f.path):
			return usagef("-path %q: want a plain path that begins with a slash and is not %s", f.path, healthPath)
		case (f.certFile == "") != (f.keyFile == ""):
			return usagef("-cert-file and -key-file go together")
		}
		return runRegistry(ctx, f, std)
	}
}

// isPath reports whether a path can be both a pattern of a ServeMux and part of
// a URL as it is: in a pattern, braces are wildcards.
func isPath(p string) bool {
	u, err := url.Parse(p)
	odd := func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == '{' || c == '}' }
	return err == nil && u.Path == p && path.IsAbs(p) && path.Clean(p) == p && p != healthPath && !strings.ContainsFunc(p, odd)
}

// runRegistry runs a registry until ctx ends. It prints the URL to out.
func runRegistry(ctx context.Context, f *registryFlags, std stdio) error {
	format, logger := "registry: %s\n", slog.New(slog.NewTextHandler(std.log, nil))
	if f.json {
		format, logger = "{\"registry\":%q}\n", slog.New(slog.NewJSONHandler(std.log, nil))
	}
	tokens, err := loadTokens(f.tokenFile)
	if err != nil {
		return err
	}
	r := registry.New(f.timeout)
	r.Grace, r.Logger = f.grace, logger
	if f.tokenFile != "" {
		r.Tokens = tokens.current
	}
	lis, scheme, err := listen(f, logger)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, format, scheme+"://"+reachable(lis.Addr())+f.path)
	logger.Info("registry: serving", "scheme", scheme, "addr", lis.Addr(), "path", f.path, "token", f.tokenFile != "", "grace", r.Grace)
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { tokens.watch(watching, logger) }) // ends with stop; wg.Wait waits
	defer wg.Wait()
	defer stop()
	return serveRegistry(ctx, lis, f.path, r, logger)
}

// listen opens the listener, for https if there is a certificate.
func listen(f *registryFlags, logger *slog.Logger) (lis net.Listener, scheme string, err error) {
	if f.certFile == "" {
		lis, err = net.Listen("tcp", f.addr)
		return lis, "http", err
	}
	files := &geerpc.TLSFiles{CertFile: f.certFile, KeyFile: f.keyFile, Logger: logger}
	config, err := files.Server()
	if err != nil {
		return nil, "", err
	}
	lis, err = tls.Listen("tcp", f.addr, config)
	return lis, "https", err
}

// reachable returns the address at which this machine reaches a listener.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("localhost:%d", at.Port())
	}
	return addr.String()
}

// serveRegistry serves until ctx ends. Watches end with ctx; other requests in
// flight have stopTimeout before they are cut off.
func serveRegistry(ctx context.Context, lis net.Listener, path string, r *registry.GeeRegistry, logger *slog.Logger) error {
	var fresh freshConns
	server := &http.Server{
		Handler:           limitBody(registryMux(path, r)),
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         fresh.note,
	}
	stopped := make(chan error, 1)
	unhook := context.AfterFunc(ctx, func() { // ends with Shutdown; waited for below
		logger.Info("registry: stopping")
		fresh.close()
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			logger.Warn("registry: requests under way are cut off", "after", stopTimeout)
			err = server.Close()
		}
		stopped <- err
	})
	if err := server.Serve(lis); unhook() {
		return err // Serve failed while ctx goes on
	}
	err := <-stopped
	logger.Info("registry: stopped", "servers", len(r.Servers()))
	return err
}

func registryMux(path string, r *registry.GeeRegistry) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(path, r)
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	if path != "/" {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, req *http.Request) { // for people with a browser
			to := url.URL{Path: path, RawQuery: req.URL.RawQuery}
			http.Redirect(w, req, to.String(), http.StatusFound)
		})
	}
	return mux
}

// limitBody limits the time for the body of a request. No handler reads bodies,
// but the http.Server does before the next request, without a limit.
func limitBody(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.ContentLength != 0 {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		h.ServeHTTP(w, req)
	})
}

// freshConns are the connections on which no request has arrived yet.
// http.Server.Shutdown waits five seconds for such a connection.
type freshConns struct {
	mu      sync.Mutex // guards what follows
	conns   map[net.Conn]bool
	closing bool
}

// note keeps track of a connection. It is an http.Server's ConnState.
func (f *freshConns) note(conn net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(f.conns, conn)
	case f.closing:
		go conn.Close() // with TLS this may block for a moment; nobody waits for it
	default:
		if f.conns == nil {
			f.conns = make(map[net.Conn]bool)
		}
		f.conns[conn] = true
	}
}

// close closes the connections, and every new one from now on.
func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closing = true
	for conn := range f.conns {
		go conn.Close() // as in note
	}
}
