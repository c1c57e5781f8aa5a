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
	"os"
	"strings"
	"time"
	"unicode"

	"geerpc/registry"
)

// The limits on those who talk to the registry. A watch is answered in its own
// time; see registry.GeeRegistry.ServeHTTP.
const (
	headerTimeout  = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	stopTimeout    = 5 * time.Second // for the requests under way when the process is told to end
)

// registryFlags are the flags of geerpc registry.
type registryFlags struct {
	addr, path, tokenFile string
	certFile, keyFile     string
	grace, timeout        time.Duration
}

func parseRegistryFlags(args []string, log io.Writer) (*registryFlags, error) {
	f := new(registryFlags)
	set := flag.NewFlagSet("geerpc registry", flag.ContinueOnError)
	set.SetOutput(log)
	set.StringVar(&f.addr, "addr", ":9999", "the `address` to listen on")
	set.StringVar(&f.path, "path", "/_geerpc_/registry", "the `path` of the registry")
	set.StringVar(&f.tokenFile, "token-file", "", "a `file` with the token that servers must present; none: everybody may register")
	set.StringVar(&f.certFile, "cert-file", "", "a `file` with the certificate for https, and those between it and its authority, in PEM; it is read once, at the start; none: http")
	set.StringVar(&f.keyFile, "key-file", "", "the `file` with the certificate's key, in PEM")
	set.DurationVar(&f.grace, "grace", registry.DefaultGrace, "for how long servers are kept when most fall silent at once; negative: not at all")
	set.DurationVar(&f.timeout, "timeout", registry.DefaultTimeout, "for how long a server is kept that doesn't say when it beats next; 0: no server ever expires")
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil, err
	case err != nil:
		return nil, errUsage // the flags have said so
	case set.NArg() > 0 || !strings.HasPrefix(f.path, "/"):
		fmt.Fprintln(log, "geerpc registry: no arguments are taken, and -path begins with a slash")
		set.Usage()
		return nil, errUsage
	case (f.certFile == "") != (f.keyFile == ""):
		fmt.Fprintln(log, "geerpc registry: -cert-file and -key-file go together")
		return nil, errUsage
	}
	return f, nil
}

// runRegistry runs a registry until ctx ends. It prints the URL.
func runRegistry(ctx context.Context, args []string, out, log io.Writer) error {
	f, err := parseRegistryFlags(args, log)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	r := registry.New(f.timeout)
	r.Grace, r.Logger = f.grace, logger
	if r.Token, err = readToken(f.tokenFile); err != nil {
		return err
	}
	lis, scheme, err := listen(f)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "registry: %s://%s%s\n", scheme, reachable(lis.Addr()), f.path)
	logger.Info("registry: serving", "scheme", scheme, "addr", lis.Addr(), "path", f.path, "token", r.Token != "", "grace", r.Grace)
	return serveRegistry(ctx, lis, f.path, r, logger)
}

// listen listens for http, or for https if there is a certificate.
func listen(f *registryFlags) (lis net.Listener, scheme string, err error) {
	if f.certFile == "" {
		lis, err = net.Listen("tcp", f.addr)
		return lis, "http", err
	}
	cert, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
	if err != nil {
		return nil, "", fmt.Errorf("%s, %s: %w", f.certFile, f.keyFile, err)
	}
	lis, err = tls.Listen("tcp", f.addr, &tls.Config{Certificates: []tls.Certificate{cert}})
	return lis, "https", err
}

// reachable returns an address that leads to the listener on this machine.
func reachable(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("localhost:%d", at.Port())
	}
	return addr.String()
}

// readToken returns the token in a file, none without a file. An empty file is
// an error: nobody means a token that everybody has. So is one that nobody could
// present.
func readToken(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	switch {
	case token == "":
		return "", fmt.Errorf("%s: there is no token in it", name)
	case strings.ContainsFunc(token, unicode.IsControl):
		return "", fmt.Errorf("%s: a token is one line of text", name)
	}
	return token, nil
}

// serveRegistry serves until ctx ends, which ends watches too, and then waits
// for the requests under way.
func serveRegistry(ctx context.Context, lis net.Listener, path string, r *registry.GeeRegistry, logger *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle(path, r)
	if path != "/" {
		mux.Handle("GET /{$}", http.RedirectHandler(path, http.StatusFound)) // for people
	}
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	unhook := context.AfterFunc(ctx, func() { // ends with Shutdown; waited for below
		logger.Info("registry: stopping")
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	if err := server.Serve(lis); unhook() {
		return err // and not because ctx has ended
	}
	err := <-stopped
	logger.Info("registry: stopped", "servers", len(r.Servers()))
	return err
}
