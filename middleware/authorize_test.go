package middleware

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"geerpc"
)

// identified is an Identify that a test puts into the context.
func identified(ctx context.Context) string { return testKey(ctx, "") }

func TestAllow(t *testing.T) {
	for _, c := range []struct {
		rule           Rule
		caller, method string
		want           bool
	}{
		{Allow("ann", "Arith.Add"), "ann", "Arith.Add", true},
		{Allow("ann", "Arith.Add"), "bob", "Arith.Add", false},
		{Allow("ann", "Arith.Add"), "", "Arith.Add", false},
		{Allow("ann", "Arith.Add"), "ann", "Arith.Addition", false},
		{Allow("ann", "Arith.Add"), "ann", "arith.add", false},
		{Allow("ann", "Arith.*"), "ann", "Arith.Add", true},
		{Allow("ann", "Arith.*"), "ann", "Arithmetic.Add", false},
		{Allow("ann", "Arith.*"), "ann", "Arith.Deep.Add", false},
		{Allow("ann", "Arith.Deep.*"), "ann", "Arith.Deep.Add", true},
		{Allow("ann", "Arith.*"), "ann", "Arith", false},
		{Allow("ann", "Arith.*"), "ann", geerpc.UnknownMethod, false},
		{Allow("ann", "*"), "ann", geerpc.UnknownMethod, true},
		{Allow("ann", ".*"), "ann", "Arith.Add", false},
		{Allow("ann"), "ann", "Arith.Add", false},
		{Allow("*", "Arith.Add"), "bob", "Arith.Add", true},
		{Allow("*", "Arith.Add"), "", "Arith.Add", true},
		{Allow("", "*"), "", "Arith.Add", false},
		{Allow("ann", "A.B", "Arith.Add"), "ann", "Arith.Add", true},
	} {
		if got := c.rule(t.Context(), c.caller, c.method); got != c.want {
			t.Errorf("%q may call %q: %v, want %v", c.caller, c.method, got, c.want)
		}
	}
}

// TestAuthorize_DefaultDeny: what no rule allows is refused, and the method does
// not run.
func TestAuthorize_DefaultDeny(t *testing.T) {
	ann := withKey(t.Context(), "ann")
	a := &Authorize{Identify: []Identify{func(context.Context) string { return "" }, identified}, Rules: []Rule{
		Allow("bob", "*"),
		func(_ context.Context, identity, serviceMethod string) bool {
			return identity == "ann" && serviceMethod == "Arith.Add"
		},
	}}
	if err := a.Admit(ann, "Arith.Add"); err != nil {
		t.Error(err)
	}
	f := a.Intercept(func(context.Context, string, any, any) error {
		t.Error("the method runs")
		return nil
	})
	wantRefusal(t, f(ann, "Arith.Sub", nil, nil), geerpc.CodePermissionDenied, "authorize", "not allowed")
	wantRefusal(t, f(t.Context(), "Arith.Add", nil, nil), geerpc.CodeUnauthenticated, "authorize", "unauthenticated")
	wantRefusal(t, (&Authorize{}).Admit(ann, "Arith.Add"), geerpc.CodeUnauthenticated, "authorize", "unauthenticated")
	if refused := a.Refused(); refused["not allowed"] != 1 || refused["unauthenticated"] != 1 {
		t.Errorf("refused were %v", refused)
	}
}

// TestG72_AuthorizePanics: where a rule or an Identify panics, nothing is allowed.
func TestG72_AuthorizePanics(t *testing.T) {
	for name, a := range map[string]*Authorize{
		"rule":     {Rules: []Rule{func(context.Context, string, string) bool { panic("no rule") }, Allow("*", "*")}},
		"identify": {Identify: []Identify{func(context.Context) string { panic("no rule") }}, Rules: []Rule{Allow("*", "*")}},
	} {
		f := a.Intercept(func(context.Context, string, any, any) error {
			t.Errorf("%s: the method runs", name)
			return nil
		})
		if p := panics(func() { f(t.Context(), "Arith.Add", nil, nil) }); p != "no rule" {
			t.Errorf("%s: panics with %v", name, p)
		}
	}
}

// An authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.key, a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign completes a certificate, and signs it.
func (a *authority) sign(cert *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	cert.SerialNumber = big.NewInt(time.Now().UnixNano())
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, signed
}

func (a *authority) tls(cert *x509.Certificate) tls.Certificate {
	key, signed := a.sign(cert)
	return tls.Certificate{Certificate: [][]byte{signed.Raw}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// whoAmI calls a server over TLS that has an Authorize, and returns the identity
// that it finds, and the error.
func whoAmI(t *testing.T, a *Authorize, ca *authority, auth tls.ClientAuthType, client ...tls.Certificate) (string, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := geerpc.NewServer()
	identities := make(chan string, 1)
	server.Interceptors = []geerpc.Interceptor{func(next geerpc.CallFunc) geerpc.CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			identities <- a.Identity(ctx)
			return next(ctx, serviceMethod, args, reply)
		}
	}, a.Intercept}
	if err := server.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	own := ca.tls(&x509.Certificate{DNSNames: []string{"server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	go server.Serve(tls.NewListener(listener, &tls.Config{ // ends at Close
		Certificates: []tls.Certificate{own}, ClientAuth: auth, ClientCAs: ca.pool()}))
	defer server.Close()
	c, err := geerpc.Dial("tcp", listener.Addr().String(), &geerpc.Option{
		TLSConfig: &tls.Config{RootCAs: ca.pool(), Certificates: client}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := geerpc.WithMetadata(t.Context(), geerpc.Metadata{"authorization": "secret"})
	err = c.Call(ctx, "Arith.Double", 2, new(int))
	return <-identities, err
}

// Arith is a service.
type Arith struct{}

// Double doubles a number.
func (*Arith) Double(n int, reply *int) error {
	*reply = 2 * n
	return nil
}

// TestAuthorize_Certificates: identities come from certificates that the server has
// verified, and from no others.
func TestAuthorize_Certificates(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	spiffe, err := url.Parse("spiffe://example.org/billing")
	if err != nil {
		t.Fatal(err)
	}
	named := func(cn string, dns []string, uris ...*url.URL) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: cn}, DNSNames: dns, URIs: uris,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	}
	for name, c := range map[string]struct {
		auth tls.ClientAuthType
		cert []tls.Certificate
		want string
	}{
		"URI":         {tls.RequireAndVerifyClientCert, []tls.Certificate{ca.tls(named("cn", []string{"dns"}, spiffe))}, "spiffe://example.org/billing"},
		"DNS name":    {tls.RequireAndVerifyClientCert, []tls.Certificate{ca.tls(named("cn", []string{"dns"}))}, "dns"},
		"common name": {tls.RequireAndVerifyClientCert, []tls.Certificate{ca.tls(named("cn", nil))}, "cn"},
		"none":        {tls.VerifyClientCertIfGiven, nil, ""},
		"unverified":  {tls.RequireAnyClientCert, []tls.Certificate{stranger.tls(named("cn", nil))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Authorize{Identify: []Identify{ByCertificate}, Rules: []Rule{Allow(c.want, "Arith.*")}}
			got, err := whoAmI(t, a, ca, c.auth, c.cert...)
			if got != c.want {
				t.Errorf("the identity is %q, want %q", got, c.want)
			}
			if code := geerpc.CodeOf(err); c.want == "" && code != geerpc.CodeUnauthenticated || c.want != "" && err != nil {
				t.Errorf("the call ends with %v", err)
			}
			var e *geerpc.Error
			if errors.As(err, &e) && (e.Where != geerpc.InServer || e.Ran != geerpc.RanNever) {
				t.Errorf("it ended %v, ran %v", e.Where, e.Ran)
			}
		})
	}
}

// TestAuthorize_Tokens: the token in the metadata has to be the very same.
func TestAuthorize_Tokens(t *testing.T) {
	ca := newAuthority(t)
	for name, c := range map[string]struct {
		tokens map[string]string
		want   string
	}{
		"known":               {map[string]string{"ann": "other", "bob": "secret"}, "bob"},
		"longer":              {map[string]string{"ann": "secret2"}, ""},
		"shorter":             {map[string]string{"ann": "secre"}, ""},
		"empty":               {map[string]string{"ann": ""}, ""},
		"without a name":      {map[string]string{"": "secret"}, ""},
		"there are no tokens": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := &Authorize{Identify: []Identify{ByToken("authorization", c.tokens)}, Rules: []Rule{Allow(c.want, "*")}}
			if got, _ := whoAmI(t, a, ca, tls.NoClientCert); got != c.want {
				t.Errorf("the identity is %q, want %q", got, c.want)
			}
			other := ByToken("x-token", c.tokens)
			if got := other(t.Context()); got != "" {
				t.Errorf("without metadata the identity is %q", got)
			}
		})
	}
}

func TestAuthorize_Allocs(t *testing.T) {
	wantAllocs(t, 0, (&Authorize{Rules: []Rule{Allow("ann", "A.B"), Allow("*", "Arith.*")}}).Intercept)
}

func BenchmarkAuthorize(b *testing.B) {
	a := &Authorize{Identify: []Identify{ByCertificate, func(context.Context) string { return "ann" }}}
	for range 9 {
		a.Rules = append(a.Rules, Allow("ann", "Text.*"))
	}
	a.Rules = append(a.Rules, Allow("ann", "Arith.*"))
	benchmark(b, a.Intercept)
}
