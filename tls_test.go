package geerpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/handshake"
)

// TestE45_TLS has client and server disagree about TLS in every way: Dial
// fails in time, with an error that says what sort it is and that nothing ran.
func TestE45_TLS(t *testing.T) {
	good, goodPool := certificate(t, "localhost", time.Hour)
	expired, expiredPool := certificate(t, "localhost", -time.Minute)
	other, otherPool := certificate(t, "elsewhere", time.Hour)
	serve := func(cert tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	trust := func(pool *x509.CertPool) *tls.Config {
		return &tls.Config{RootCAs: pool, ServerName: "localhost"}
	}
	mutual := serve(good)
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, goodPool
	modern, old := serve(good), trust(goodPool)
	modern.MinVersion, old.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	withCert := trust(goodPool)
	withCert.Certificates = []tls.Certificate{good}
	for _, c := range []struct {
		name           string
		server, client *tls.Config // nil: plain
		code           Code        // CodeOK: Dial works
	}{
		{"good", serve(good), trust(goodPool), CodeOK},
		{"wrong CA", serve(good), trust(otherPool), CodeUnauthenticated},
		{"expired", serve(expired), trust(expiredPool), CodeUnauthenticated},
		{"wrong name", serve(other), trust(otherPool), CodeUnauthenticated},
		{"no client certificate", mutual, trust(goodPool), CodeUnauthenticated},
		{"client certificate", mutual, withCert, CodeOK},
		{"old TLS", modern, old, CodeUnauthenticated},
		{"plain server", nil, trust(goodPool), CodeUnavailable},
		{"plain client", serve(good), nil, CodeUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, "tcp", "")
			e.start()
			addr := e.lis.Addr().String()
			if c.server != nil {
				lis := tls.NewListener(listen(t), c.server)
				go e.Serve(lis) // ends with the test's server
				addr = lis.Addr().String()
			}
			client, err := Dial("tcp", addr, &Option{TLSConfig: c.client, ConnectTimeout: 10 * time.Second})
			if c.code == CodeOK {
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, c.code, OnLink, RanNever)
		})
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

// TestE46_StalledTLSHandshake connects and says nothing, where TLS would have
// the client begin: unlike a plain connection it is closed after 10 s.
func TestE46_StalledTLSHandshake(t *testing.T) {
	cert, _ := certificate(t, "localhost", time.Hour)
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		begin := time.Now()
		NewServer().ServeConn(tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}}))
		if took := time.Since(begin); took != handshake.Timeout {
			t.Errorf("closed after %v, want %v", took, handshake.Timeout)
		}
	})
}

// TestRejectedTLS_Peer speaks something else than TLS: the log says who did.
func TestRejectedTLS_Peer(t *testing.T) {
	lis := listen(t)
	defer lis.Close()
	client, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	log := new(logCount)
	server := &Server{Logger: slog.New(log)}
	server.ServeConn(tls.Server(conn, &tls.Config{}))
	server.reports.Wait(time.Minute)
	if lines := log.all(); len(lines) != 1 || !strings.Contains(lines[0], client.LocalAddr().String()) {
		t.Errorf("logged %q, want the address %s", lines, client.LocalAddr())
	}
}
