package registry

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"time"

	"geerpc"
)

// leaveLimit limits how long a server waits for registries when it ends.
const leaveLimit = 2 * time.Second

// Serve serves a listener, as server.Serve does, and keeps it registered meanwhile.
// It registers when serving begins, and deregisters when serving ends.
// server.Shutdown first deregisters, so that new calls go elsewhere before this
// server stops accepting them. Registries that can't be reached don't delay the
// beginning, and delay the end by 2 seconds at most.
//
// The error is server.Serve's, unless the Config is refused: then the listener is
// closed, nothing is registered, and the reason is returned and logged.
//
// If Config.Addr is empty, Serve uses the listener's address: tcp@10.0.0.1:9999, or
// tls@10.0.0.1:9999 for a listener of package crypto/tls, whose certificate must
// then be valid for that IP address. Set Addr for a host name, or for another
// listener that speaks TLS. The address of a listener on all interfaces, such as
// :9999, is refused, because callers elsewhere can't dial it. A service that is
// added while the server runs is announced with the next heartbeat.
func Serve(server *geerpc.Server, lis net.Listener, c Config) error {
	c, err := c.forServer(lis)
	if err != nil {
		c.Logger.Error("rpc registry: not serving", "err", err) // `go Serve(…)` loses the error
		lis.Close()
		return err
	}
	var services func() []string
	if c.Services == nil {
		services = func() []string { return registrable(server.Services()) }
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

// forServer returns the Config with its defaults, and the listener's address if it
// has none. It fails if the Config is refused.
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

// registrable returns the names, or none if a registry would refuse them: a server
// that doesn't say what it offers gets calls for any service.
func registrable(names []string) []string {
	if checkServices(names) != nil {
		return nil
	}
	return names
}
