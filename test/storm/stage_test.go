package storm

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	random "math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"geerpc"
)

// A stage is a server that is shut down and started again and again, and the
// proxies before it.
type stage struct {
	transport string // tcp, unix, tls or http
	calm      *proxy // cuts, resets, delays
	wild      *proxy // flips bits as well
	dir       string
	config    *tls.Config // of the server
	ledger    *ledger

	server   *geerpc.Server
	http     *http.Server
	lis      net.Listener
	served   chan struct{}
	restarts int
}

// newStage starts a stage for a transport.
func newStage(t *testing.T, transport string, config *tls.Config, l *ledger) *stage {
	t.Helper()
	s := &stage{transport: transport, dir: t.TempDir(), config: config, ledger: l}
	network, address := s.network(), "127.0.0.1:0"
	for i, p := range []**proxy{&s.calm, &s.wild} {
		if network == "unix" {
			address = filepath.Join(s.dir, fmt.Sprintf("proxy%d", i))
		}
		var err error
		// TLS notices what has been flipped: that is for all of its connections.
		if *p, err = newProxy(network, address, i == 1 || transport == "tls"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) network() string {
	if s.transport == "unix" {
		return "unix"
	}
	return "tcp"
}

// start starts a server, with settings that differ from time to time.
func (s *stage) start() (err error) {
	s.server = &geerpc.Server{}
	switch random.IntN(6) {
	case 0:
		s.server.HandleTimeout = time.Duration(20+random.IntN(200)) * time.Millisecond
	case 1:
		s.server.Ordered = true
	case 2:
		s.server.MaxInFlight = 1 + random.IntN(8)
	case 3:
		s.server.Interceptors = []geerpc.Interceptor{pass}
	}
	if err := s.server.Register(&Depot{s.ledger}); err != nil {
		return err
	}
	s.restarts++
	address := "127.0.0.1:0"
	if s.transport == "unix" {
		address = filepath.Join(s.dir, fmt.Sprint(s.restarts))
	}
	if s.lis, err = net.Listen(s.network(), address); err != nil {
		return err
	}
	addr := s.lis.Addr()
	if s.transport == "tls" {
		s.lis = tls.NewListener(s.lis, s.config)
	}
	mux := http.NewServeMux()
	mux.Handle("/_geeprc_", s.server)
	s.http, s.served = &http.Server{Handler: mux}, make(chan struct{})
	go s.serve(s.server, s.lis) // ends with stop
	s.calm.point(addr)
	s.wild.point(addr)
	return nil
}

func (s *stage) serve(server *geerpc.Server, lis net.Listener) {
	defer close(s.served)
	var err error
	if s.transport == "http" {
		err = s.http.Serve(lis)
	} else {
		err = server.Serve(lis)
	}
	if !errors.Is(err, geerpc.ErrServerClosed) && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.ledger.fault("Serve failed", fmt.Sprint(err))
	}
}

// pass is an interceptor that does nothing.
func pass(next geerpc.CallFunc) geerpc.CallFunc {
	return func(ctx context.Context, serviceMethod string, args, reply any) error {
		return next(ctx, serviceMethod, args, reply)
	}
}

// stop ends the server, in good order or not, in good time.
func (s *stage) stop() {
	begun, limit := time.Now(), time.Second
	if random.IntN(3) == 0 {
		s.server.Close()
	} else {
		patience := time.Duration(random.IntN(2000)) * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		s.server.Shutdown(ctx)
		cancel()
		limit += patience
	}
	if took := time.Since(begun); took > limit+patience {
		s.ledger.fault("hung", fmt.Sprintf("the end of a server took %v", took))
	}
	s.lis.Close()
	<-s.served
	if s.transport == "http" {
		s.http.Close()
	}
}

// weather stops and starts the server until ctx ends, and then closes all.
func (s *stage) weather(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Duration(500+random.IntN(3000)) * time.Millisecond): // between two storms, in real time
		case <-ctx.Done():
		}
		s.stop()
		if ctx.Err() == nil {
			if err := s.start(); err != nil {
				s.ledger.fault("could not start again", err.Error())
				return
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(s.calm.close)
	wg.Go(s.wild.close)
	wg.Wait()
}

// certificate returns what the server of a stage has for TLS, and its clients.
func certificate() (server, client *tls.Config, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool, ServerName: "localhost"}, nil
}
