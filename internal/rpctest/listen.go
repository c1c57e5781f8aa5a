package rpctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Listen listens for a transport, but for pipe, on an address that nobody else
// has. If the transport is tls, config is what a client needs.
func Listen(t testing.TB, transport string) (lis net.Listener, config *tls.Config) {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if transport == "unix" {
		network, address = "unix", filepath.Join(t.TempDir(), "s")
	}
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if transport != "tls" {
		return lis, nil
	}
	cert, pool := Certificate(t, "localhost", time.Hour)
	return tls.NewListener(lis, &tls.Config{Certificates: []tls.Certificate{cert}}),
		&tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// Certificate returns a self-signed certificate for name, and a pool with it.
func Certificate(t testing.TB, name string, valid time.Duration) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
