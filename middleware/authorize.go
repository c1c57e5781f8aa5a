package middleware

import (
	"context"
	"slices"
	"strings"

	"geerpc"
	"geerpc/internal/token"
)

// An Authorize says who may call what. Who calls is an identity, found by the
// first of the Identify functions that knows it; a call passes if one of the Rules
// allows it. Nothing else passes: an Authorize without rules refuses all calls.
//
//	auth := &middleware.Authorize{
//		Identify: []middleware.Identify{middleware.ByCertificate},
//		Rules: []middleware.Rule{
//			middleware.Allow("billing", "Accounts.*"),
//			middleware.Allow("*", "Health.Check"),
//		},
//	}
//	server.Admit = append(server.Admit, auth.Admit)
//
// A call without an identity is refused with unauthenticated, another one with
// permission denied.
//
// It belongs into Server.Admit, so that nothing of a stranger's is decoded, or
// first among the interceptors, behind what watches. There it is asked about calls
// of methods that do not exist as well, as geerpc.UnknownMethod, so callers do not
// learn which ones do: to hide that, use both. On a client it does nothing useful. A
// call costs what the Identify functions and Rules take: ten rules of Allow take about
// 0.5 µs, and no allocation.
type Authorize struct {
	// Identify says who calls. The first that returns an identity counts. None:
	// nobody has one.
	Identify []Identify

	// Rules say what is allowed. None: nothing.
	Rules []Rule

	refuser refuser
}

// An Identify returns the identity of who made a call, from its peer or its
// metadata, or "" if it does not know. It must be sure. It must not keep ctx.
type Identify func(ctx context.Context) string

// A Rule reports whether it allows a call. The identity is "" if there is none. A
// function of yours may look at the call's metadata. It must not keep ctx.
type Rule func(ctx context.Context, identity, serviceMethod string) bool

// Intercept is a geerpc.Interceptor: it refuses calls that no rule allows.
func (a *Authorize) Intercept(next geerpc.CallFunc) geerpc.CallFunc {
	return admitting(a.Admit, next)
}

// Admit refuses calls that no rule allows. It is for Server.Admit.
func (a *Authorize) Admit(ctx context.Context, serviceMethod string) error {
	identity := a.Identity(ctx)
	for _, allows := range a.Rules {
		if allows(ctx, identity, serviceMethod) {
			return nil
		}
	}
	if identity == "" {
		return a.refuser.refuse(geerpc.CodeUnauthenticated, Refusal{By: "authorize", Reason: "unauthenticated"})
	}
	return a.refuser.refuse(geerpc.CodePermissionDenied, Refusal{By: "authorize", Reason: "not allowed"})
}

// Identity returns the identity of who made the call with this context, or "". It
// is good for a RateLimit's Key, and for a method that wants to know.
func (a *Authorize) Identity(ctx context.Context) string {
	for _, identify := range a.Identify {
		if identity := identify(ctx); identity != "" {
			return identity
		}
	}
	return ""
}

// Refused returns how many calls were refused, by reason.
func (a *Authorize) Refused() map[string]int64 { return a.refuser.byReason() }

// ByCertificate is an Identify for connections with mutual TLS. The identity is the
// first URI in the client's certificate, such as a SPIFFE ID, else the first DNS
// name, else the common name. The server must have verified the certificate: its
// tls.Config needs ClientAuth: tls.RequireAndVerifyClientCert, and a ClientCAs
// with authorities that you trust to name identities.
func ByCertificate(ctx context.Context) string {
	peer, _ := geerpc.PeerFrom(ctx)
	if peer.TLS == nil || len(peer.TLS.VerifiedChains) == 0 {
		return ""
	}
	cert := peer.TLS.VerifiedChains[0][0]
	switch {
	case len(cert.URIs) > 0:
		return cert.URIs[0].String()
	case len(cert.DNSNames) > 0:
		return cert.DNSNames[0]
	}
	return cert.Subject.CommonName
}

// ByToken returns an Identify for tokens in the metadata of calls, under a key such
// as "authorization". The tokens are by identity; empty ones are never accepted.
// They are compared in a time that says nothing about them, about 0.5 µs for each.
// A token is as secret as the connection it is sent over.
func ByToken(key string, tokens map[string]string) Identify {
	type known struct{ identity, token string }
	var all []known
	for identity, token := range tokens {
		if token != "" && identity != "" {
			all = append(all, known{identity, token})
		}
	}
	return func(ctx context.Context) (identity string) {
		presented := geerpc.MetadataFrom(ctx)[key]
		if presented == "" {
			return ""
		}
		for _, k := range all { // all of them, so that the time is always the same
			if token.Equal(presented, k.token) {
				identity = k.identity
			}
		}
		return identity
	}
}

// Allow returns a Rule that allows an identity to call some methods. A method is
// named in full, "Arith.Add", or with all those of its service, "Arith.*"; "*" is
// all methods, those that do not exist included. The identity "*" is everybody,
// even a caller that has none; the identity "" allows nothing.
func Allow(identity string, methods ...string) Rule {
	all := slices.Contains(methods, "*")
	names, services := make(map[string]bool), make(map[string]bool)
	for _, method := range methods {
		if service, whole := strings.CutSuffix(method, ".*"); whole {
			services[service] = true
		} else {
			names[method] = true
		}
	}
	return func(_ context.Context, caller, serviceMethod string) bool {
		if identity == "" || identity != "*" && identity != caller {
			return false
		}
		dot := strings.LastIndexByte(serviceMethod, '.')
		return all || names[serviceMethod] || dot >= 0 && services[serviceMethod[:dot]]
	}
}
