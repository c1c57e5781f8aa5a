package main

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"geerpc"
)

// Hints: what to try when something has failed.

// explain adds a hint to the error of a connection that was not made.
func (t *target) explain(err error) error {
	if hint := t.connectHint(err); hint != "" {
		return &failure{exit: exitCode(err), err: err, hint: hint}
	}
	return err
}

func (t *target) connectHint(err error) string {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	switch code := geerpc.CodeOf(err); {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return t.refusedHint(err)
	case errors.As(err, &dns):
		return "is the name of the host right?"
	case errors.As(err, &authority):
		return "-ca-file FILE names the authority that has signed the server's certificate"
	case errors.As(err, &name):
		return "-server-name NAME sets the name that the certificate must have"
	case code == geerpc.CodeUnauthenticated && isRefused(err):
		return "a token is given with -token-file FILE, or in the variable " + tokenVariable +
			"; TLS is used with -tls, or -ca-file FILE for your own authority"
	case code == geerpc.CodeUnauthenticated && t.useTLS:
		return "does the server ask for a certificate (-cert-file, -key-file)? Does it use TLS at all?"
	case code == geerpc.CodeUnauthenticated:
		return "add -tls, or -ca-file FILE for your own authority"
	case code == geerpc.CodeInvalidArgument && isRefused(err):
		return "this command needs the codec application/json: is it among the server's Codecs?"
	case code == geerpc.CodeResourceExhausted && isRefused(err):
		return "the server's debug page, as a rule /debug/geerpc on an HTTP port, shows its limits and what uses them; it needs no connection of geerpc's"
	case code == geerpc.CodeUnavailable && errors.Is(err, io.EOF):
		return "is it a geerpc server? If it uses TLS, add -tls, or -ca-file FILE for your own authority"
	case code == geerpc.CodeDeadlineExceeded:
		return "does a firewall drop the packets? Is a server of another kind there? -timeout gives it more time"
	}
	return ""
}

// refusedHint is for an address at which nobody listens. If the target is a registry, the
// address is that of a server only if the error says so.
func (t *target) refusedHint(err error) string {
	what, addr := "server", t.given
	var e *geerpc.Error
	if errors.As(err, &e) && e.Server != "" {
		addr = e.Server
	} else if isRegistry(t.addr) {
		what = "registry"
	}
	return "is the " + what + " running, and is " + addr + " where it listens?"
}

// isRefused reports whether an error is the answer of a server to a handshake or a call.
func isRefused(err error) bool {
	var e *geerpc.Error
	return errors.As(err, &e) && e.Where == geerpc.InServer
}

// explainCall adds a hint to the error of a call.
func (t *target) explainCall(ctx context.Context, serviceMethod string, err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	hint := ""
	switch code := geerpc.CodeOf(err); {
	case code == geerpc.CodeNotFound && isRefused(err):
		hint = t.suggestMethod(ctx, serviceMethod)
	case code == geerpc.CodeInvalidArgument && isRefused(err):
		hint = "geerpc describe " + quote(t.given) + " " + serviceMethod + " shows what it takes, and an example"
	case code == geerpc.CodeDeadlineExceeded:
		hint = timeoutHint(err)
	case code == geerpc.CodeUnauthenticated && strings.HasPrefix(t.addr, "jsonrpc@"):
		hint = "a token can't be sent at jsonrpc@: if the server wants one, call it at tcp@" + strings.TrimPrefix(t.addr, "jsonrpc@")
	case code == geerpc.CodePermissionDenied, code == geerpc.CodeUnauthenticated:
		hint = "does the server know you: by -token-file, by -cert-file, or by metadata (-H key=value)?"
	default:
		hint = t.connectHint(err)
	}
	return &failure{exit: exitCode(err), err: err, hint: hint}
}

// timeoutHint says which limit a call has met.
func timeoutHint(err error) string {
	var e *geerpc.Error
	switch {
	case !errors.As(err, &e) || e.Where == geerpc.InClient || e.Where == geerpc.OnLink:
		return "-timeout gives it more time"
	case e.Ran == geerpc.RanYes:
		return "the method gave up: because of -timeout, the server's HandleTimeout, or a limit of its own"
	}
	return "the limit is the server's: its HandleTimeout is for all calls, and -timeout does not change it"
}

// suggestMethod suggests a method in place of one that does not exist.
func (t *target) suggestMethod(ctx context.Context, serviceMethod string) string {
	d, err := t.describe(ctx, "")
	if err != nil {
		return ""
	}
	var names []string
	for _, s := range d.Services {
		for _, m := range s.Methods {
			names = append(names, s.Name+"."+m.Name)
		}
	}
	if question := didYouMean(serviceMethod, names); question != "" {
		return strings.TrimPrefix(question, "; ")
	}
	return "geerpc list " + quote(t.given) + " lists the methods"
}
