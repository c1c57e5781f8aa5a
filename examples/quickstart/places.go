package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"geerpc"
	"geerpc/codec"
)

// xmlType is a codec of our own: any pair of marshal and unmarshal functions
// makes one.
const xmlType codec.Type = "application/xml"

func init() { codec.Register(xmlType, codec.Framed(xml.Marshal, xml.Unmarshal)) }

// A place is somewhere the server listens.
type place struct {
	name    string
	address string        // protocol@address
	option  geerpc.Option // what it takes to get there
}

// dial connects to the place, with what opt wants beside.
func (p place) dial(ctx context.Context, opt geerpc.Option) (*geerpc.Client, error) {
	opt.TLSConfig, opt.Dialer = p.option.TLSConfig, p.option.Dialer
	return geerpc.XDialContext(ctx, p.address, &opt)
}

// listenEverywhere makes the server listen on every transport.
func listenEverywhere(server *geerpc.Server) (places []place, stop func(), err error) {
	cert, pool, err := selfSigned()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "geerpc")
	if err != nil {
		return nil, nil, err
	}
	socket := filepath.Join(dir, "socket")
	lis := make(map[string]net.Listener)
	stop = func() {
		for _, l := range lis {
			l.Close()
		}
		os.RemoveAll(dir)
	}
	for name, at := range map[string][2]string{
		"tcp": {"tcp", "127.0.0.1:0"}, "unix": {"unix", socket},
		"tls": {"tcp", "127.0.0.1:0"}, "http": {"tcp", "127.0.0.1:0"},
	} {
		if lis[name], err = net.Listen(at[0], at[1]); err != nil {
			delete(lis, name)
			stop()
			return nil, nil, err
		}
	}
	memory := geerpc.NewPipeListener()
	lis["memory"] = memory
	lis["tls"] = tls.NewListener(lis["tls"], &tls.Config{Certificates: []tls.Certificate{cert}})

	for _, name := range []string{"tcp", "unix", "tls", "memory"} {
		go server.Serve(lis[name]) // ends with Shutdown
	}
	go http.Serve(lis["http"], serverOnMux(server)) // ends with stop
	return []place{
		{name: "tcp", address: "tcp@" + lis["tcp"].Addr().String()},
		{name: "unix", address: "unix@" + socket},
		{name: "tls", address: "tls@" + lis["tls"].Addr().String(),
			option: geerpc.Option{TLSConfig: &tls.Config{RootCAs: pool}}},
		{name: "http", address: "http@" + lis["http"].Addr().String()},
		{name: "memory", address: "pipe@memory", option: geerpc.Option{Dialer: memory.DialContext}},
	}, stop, nil
}

// serverOnMux puts the server behind HTTP, where clients look for it.
func serverOnMux(server *geerpc.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_geeprc_", server)
	return mux
}

// selfSigned returns a certificate for 127.0.0.1, made on the spot, and the
// pool that trusts it.
func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool, nil
}
