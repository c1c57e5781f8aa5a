package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// runCerts is the command certs. It makes a folder with the certificates of a server
// and a client, for trying things out: the authority's own key is not kept.
func runCerts(args []string) error {
	if len(args) != 1 {
		return errors.New("the argument is a folder that does not exist yet")
	}
	_, err := newCerts(args[0])
	return err
}

// certsLast is how long certificates are valid.
const certsLast = 30 * 24 * time.Hour

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newCerts makes a folder with the certificates of a server, a client, and their
// authority.
func newCerts(dir string) (*authority, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	a, err := newAuthority(dir)
	if err != nil {
		return nil, err
	}
	return a, errors.Join(a.issue(dir, "server", x509.ExtKeyUsageServerAuth), a.issue(dir, "client", x509.ExtKeyUsageClientAuth))
}

// newAuthority makes an authority, and writes its certificate to ca.pem.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert := template("throw-away authority")
	cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, writePEM(dir, "ca.pem", "CERTIFICATE", der)
}

// issue writes a new certificate and its key to name.pem and name.key. They may replace
// those that are in use.
func (a *authority) issue(dir, name string, usage x509.ExtKeyUsage) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := template(name)
	cert.KeyUsage, cert.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{usage}
	cert.DNSNames, cert.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writePEM(dir, name+".key", "PRIVATE KEY", keyDER), writePEM(dir, name+".pem", "CERTIFICATE", der))
}

// template is what all certificates have in common.
func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetInt64(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(certsLast),
	}
}

// writePEM writes a file, or replaces it as a whole.
func writePEM(dir, name, kind string, der []byte) error {
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
