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
		return "is the server running, and is " + t.given + " where it listens?"
	case errors.As(err, &dns):
		return "is the name of the host right?"
	case errors.As(err, &authority):
		return "-ca-file FILE names the authority that has signed the server's certificate"
	case errors.As(err, &name):
		return "-server-name NAME sets the name that the certificate must have"
	case code == geerpc.CodeUnauthenticated && isRefused(err):
		return "give the token with -token-file FILE, or in the variable " + tokenVariable
	case code == geerpc.CodeUnauthenticated && t.useTLS:
		return "does the server ask for a certificate (-cert-file, -key-file)? Does it use TLS at all?"
	case code == geerpc.CodeUnauthenticated:
		return "add -tls, or -ca-file FILE for your own authority"
	case code == geerpc.CodeInvalidArgument && isRefused(err):
		return "this command needs the codec application/json: is it among the server's Codecs?"
	case code == geerpc.CodeUnavailable && errors.Is(err, io.EOF):
		return "is it a geerpc server? If it uses TLS, add -tls, or -ca-file FILE for your own authority"
	case code == geerpc.CodeDeadlineExceeded:
		return "does a firewall drop the packets? Is a server of another kind there? -timeout gives it more time"
	}
	return ""
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
		hint = "-timeout gives it more time"
	case code == geerpc.CodePermissionDenied, code == geerpc.CodeUnauthenticated:
		hint = "does the server know you: by -token-file, by -cert-file, or by metadata (-H key=value)?"
	default:
		hint = t.connectHint(err)
	}
	return &failure{exit: exitCode(err), err: err, hint: hint}
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
