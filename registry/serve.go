package registry

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"time"

	"geerpc"
)

// leaveLimit limits how long the end of a server waits for registries.
const leaveLimit = 2 * time.Second

// Serve serves a listener, as server.Serve does, and keeps it registered for
// as long: it registers when serving begins, and deregisters first of all when
// server.Shutdown is called, so that new calls go elsewhere before this server
// stops to take them, and in any case when serving ends. Registries that can't
// be reached delay neither the beginning nor, by more than 2 seconds, the end.
//
// The error is server.Serve's, unless the Config can't be used; then the
// listener is closed, nobody is told anything, and the Logger hears why.
//
// Without an Addr in the Config the listener's is used: tcp@10.0.0.1:9999, or
// tls@10.0.0.1:9999 for a listener of package crypto/tls, whose certificate has to
// be good for that IP address; for a name, or for another listener that speaks
// TLS, Addr is set. That of a listener on all addresses, such as :9999, is refused,
// because callers elsewhere can't dial it. A service that is added while the server
// runs is told with the next beat.
func Serve(server *geerpc.Server, lis net.Listener, c Config) error {
	c, err := c.forServer(lis)
	if err != nil {
		c.Logger.Error("rpc registry: not serving", "err", err) // go Serve(…) loses the error
		lis.Close()
		return err
	}
	var services func() []string
	if c.Services == nil {
		services = func() []string { return tellable(server.Services()) }
	}
	r := start(c, services)
	leave := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, leaveLimit)
		defer cancel()
		r.leave(ctx)
	}
	server.OnShutdown(leave)
	defer leave(context.Background())
	return server.Serve(lis)
}

// forServer returns the Config with the address of a listener, unless it has
// one. It fails if there is something wrong with it.
func (c Config) forServer(lis net.Listener) (Config, error) {
	c = c.withDefaults()
	if c.Addr == "" {
		addr := lis.Addr()
		protocol := addr.Network()
		if protocol == "tcp" && isTLS(lis) {
			protocol = "tls"
		}
		c.Addr = protocol + "@" + addr.String()
	}
	return c, c.check()
}

// isTLS reports whether a listener is one of package crypto/tls.
func isTLS(lis net.Listener) bool {
	return reflect.TypeOf(lis) == reflect.TypeOf(tls.NewListener(nil, nil))
}

// tellable returns the names, or none if no registry would take them: a server
// that can't say what it offers is there for all.
func tellable(names []string) []string {
	if checkServices(names) != nil {
		return nil
	}
	return names
}
