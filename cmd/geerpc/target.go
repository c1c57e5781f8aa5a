package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/introspect"
	"geerpc/registry"
	"geerpc/xclient"
)

// maxReplyBytes is the size of the largest reply that is accepted.
const maxReplyBytes = 64 << 20

// tokenVariable is the environment variable with the token. There is no flag for it,
// because others on the machine see the arguments of a process.
const tokenVariable = "GEERPC_TOKEN"

// A target is the server or registry that a command talks to: its address, and the flags
// that say how to connect.
type target struct {
	timeout    time.Duration
	files      geerpc.TLSFiles
	useTLS     bool
	insecure   bool // accept any certificate
	serverName string
	tokenFile  string
	httpPath   string
	server     string // part of the address of one in the registry

	given string // the address as it was given
	addr  string // the same with a protocol

	picked string // the server, if addr is a registry
	listed int    // of how many
}

// targetFlags defines the flags for a server, or a registry in its place.
func targetFlags(set *flag.FlagSet) *target {
	t := new(target)
	t.connectFlags(set)
	set.BoolVar(&t.useTLS, "tls", false, "use TLS; the other flags for TLS imply it, and so do tls@ and https@ in an address")
	set.StringVar(&t.tokenFile, "token-file", "", "a `file` with the token that the server requires; none: the variable "+tokenVariable+", if it is set")
	set.StringVar(&t.httpPath, "http-path", "", "the `path` of the server behind http@ and https@; none: as usual")
	set.StringVar(&t.server, "server", "", "if ADDR is a registry: the `part` of an address, to talk to that server alone")
	return t
}

// connectFlags defines those that are for registries too.
func (t *target) connectFlags(set *flag.FlagSet) {
	set.DurationVar(&t.timeout, "timeout", 10*time.Second, "the `time` for connecting and for each call; 0: no limit")
	set.StringVar(&t.files.CAFile, "ca-file", "", "a `file` with the authorities that vouch for the server, in PEM; none: those of the system")
	set.StringVar(&t.files.CertFile, "cert-file", "", "a `file` with a certificate for servers that ask for one, in PEM")
	set.StringVar(&t.files.KeyFile, "key-file", "", "the `file` with the certificate's key, in PEM")
	set.StringVar(&t.serverName, "server-name", "", "the `name` in the server's certificate, if it is not that in the address")
	set.BoolVar(&t.insecure, "insecure", false, "use TLS and accept any certificate; an attacker in between can read and change everything")
}

// isRegistry reports whether the address is that of a registry.
func isRegistry(addr string) bool {
	return strings.HasPrefix(addr, "http://") || strings.HasPrefix(addr, "https://")
}

// set sets the address.
func (t *target) set(addr string) error {
	t.given, t.addr = addr, addr
	switch {
	case isRegistry(addr), strings.Contains(addr, "@"):
		return nil
	case strings.HasPrefix(addr, "/"):
		t.addr = "unix@" + addr
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return usagef("address %q: want host:port, protocol@address, or the URL of a registry", addr)
	}
	t.addr = "tcp@" + addr
	return nil
}

// tlsConfig returns the config for TLS, nil if there is none.
func (t *target) tlsConfig() (*tls.Config, error) {
	f := &t.files
	if !t.useTLS && !t.insecure && t.serverName == "" && f.CAFile == "" && f.CertFile == "" && f.KeyFile == "" {
		return nil, nil
	}
	if (f.CertFile == "") != (f.KeyFile == "") {
		return nil, usagef("-cert-file and -key-file go together")
	}
	config, err := f.Client()
	if err != nil {
		return nil, err
	}
	config.ServerName, config.InsecureSkipVerify = t.serverName, t.insecure
	return config, nil
}

// option returns how connections are made, with a codec.
func (t *target) option(codecType codec.Type) (*geerpc.Option, error) {
	config, err := t.tlsConfig()
	if err != nil {
		return nil, err
	}
	opt := &geerpc.Option{CodecType: codecType, ConnectTimeout: t.timeout, TLSConfig: config,
		HTTPPath: t.httpPath, MaxMessageBytes: maxReplyBytes, Token: os.Getenv(tokenVariable)}
	if t.tokenFile != "" {
		tokens, err := loadTokens(t.tokenFile)
		if err != nil {
			return nil, err
		}
		opt.Token = tokens.current()[0]
	}
	return opt, nil
}

// withTimeout limits the time for a call.
func (t *target) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, t.timeout)
}

// httpClient returns a client for asking a registry. It keeps no connection.
func (t *target) httpClient() (*http.Client, error) {
	config, err := t.tlsConfig()
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}}, nil
}

// dial connects to the server, or to one that the registry lists.
func (t *target) dial(ctx context.Context, service string, codecType codec.Type) (*geerpc.Client, error) {
	opt, err := t.option(codecType)
	if err != nil {
		return nil, err
	}
	addr := t.addr
	if isRegistry(addr) {
		if addr, err = t.pick(ctx, service); err != nil {
			return nil, err
		}
	}
	client, err := geerpc.XDialContext(ctx, addr, opt)
	if err != nil {
		return nil, t.explain(err)
	}
	return client, nil
}

// pick returns the address of one of the servers that the registry lists.
func (t *target) pick(ctx context.Context, service string) (string, error) {
	servers, err := t.list(ctx)
	if err != nil {
		return "", err
	}
	t.listed = len(servers)
	servers = slices.DeleteFunc(servers, func(s registry.ServerItem) bool {
		return !strings.Contains(s.Addr, t.server) ||
			service != "" && service != introspect.Service && len(s.Services) > 0 && !slices.Contains(s.Services, service)
	})
	if t.listed == 0 {
		return "", &failure{exit: exitUnavailable, err: errors.New("the registry lists no servers")}
	}
	if len(servers) == 0 {
		return "", &failure{exit: exitUnavailable, err: errors.New("the registry lists no such server"), hint: "geerpc servers " + quote(t.given) + " lists the servers and what they offer"}
	}
	best := slices.IndexFunc(servers, func(s registry.ServerItem) bool { return !s.Silent && !s.Legacy })
	t.picked = servers[max(best, 0)].Addr
	return t.picked, nil
}

// whose returns whose the answers are: one server's, even if the address is a registry's.
func (t *target) whose() string {
	if t.picked == "" {
		return t.given
	}
	return fmt.Sprintf("%s, one of %d at %s", t.picked, t.listed, t.given)
}

// sayWhose writes which server has answered, if a registry was given.
func (t *target) sayWhose(log io.Writer) {
	if t.picked != "" {
		fmt.Fprintf(log, "from %s\n", t.whose())
	}
}

// newCaller returns a Client, or for a registry an XClient. close closes it.
func (t *target) newCaller(ctx context.Context, service string) (caller geerpc.Caller, close func(), err error) {
	if rest, ok := strings.CutPrefix(t.addr, "rpc@"); ok {
		return nil, nil, usagef("arguments and replies are JSON here, which net/rpc's protocol does not carry: a geerpc server takes them at tcp@%s", rest)
	}
	if !isRegistry(t.addr) || t.server != "" {
		client, err := t.dial(ctx, service, codec.JsonType)
		if err != nil {
			return nil, nil, err
		}
		return client, func() { client.Close() }, nil
	}
	opt, err := t.option(codec.JsonType)
	if err != nil {
		return nil, nil, err
	}
	d := xclient.NewGeeRegistryDiscovery(t.addr, 0)
	if d.Client, err = t.httpClient(); err != nil {
		return nil, nil, err
	}
	xc := xclient.New(d, xclient.Config{Option: opt})
	return xc, func() { xc.Close(); d.Close() }, nil
}
