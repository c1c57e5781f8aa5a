package geerpc

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// serveOne serves a connection that a health check makes and ends, and returns
// what was logged.
func serveOne(t *testing.T, network string, wrap func(net.Conn) net.Conn, check func(net.Conn)) (lines []string) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	lis, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	client, err := net.Dial(network, lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	log := new(logCount)
	server := &Server{Logger: slog.New(log)}
	var wg sync.WaitGroup
	wg.Go(func() { server.ServeConn(wrap(conn)) })
	check(client)
	wg.Wait()
	server.reports.Wait(10 * time.Second)
	return log.all()
}

// reset ends a TCP connection with a reset, and any other at once.
func reset(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	conn.Close()
}

// TestD137_HealthChecks connects as load balancers do that want to know whether
// somebody is there: nothing is logged, however such a connection ends. What
// sends something that is no handshake is logged all the same.
func TestD137_HealthChecks(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	listeners := map[string]func(net.Conn) net.Conn{
		"plain": func(c net.Conn) net.Conn { return c },
		"tls":   func(c net.Conn) net.Conn { return tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}) },
	}
	shakeHands := func(conn net.Conn) {
		tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "localhost"}).Handshake()
	}
	checks := map[string]struct {
		check func(conn net.Conn)
		lines int
	}{
		"ends":                             {func(conn net.Conn) { conn.Close() }, 0},
		"is reset":                         {reset, 0},
		"says something and ends":          {func(conn net.Conn) { conn.Write([]byte("ping\r\n")); conn.Close() }, 1},
		"shakes hands by TLS and ends":     {func(conn net.Conn) { shakeHands(conn); conn.Close() }, 0},
		"shakes hands by TLS and is reset": {func(conn net.Conn) { shakeHands(conn); reset(conn) }, 0},
	}
	for name, c := range checks {
		for listener, wrap := range listeners {
			for _, network := range []string{"tcp", "unix"} {
				t.Run(fmt.Sprintf("%s/%s/%s", network, listener, name), func(t *testing.T) {
					want := c.lines
					if listener == "plain" && name[0] == 's' {
						want = 1 // a ClientHello is no handshake of ours
					}
					if lines := serveOne(t, network, wrap, c.check); len(lines) != want {
						t.Errorf("%d lines were logged, want %d: %q", len(lines), want, lines)
					}
				})
			}
		}
	}
}

// TestD137_SilentTLS holds a connection open, without a byte, to a server that
// waits for a TLS handshake. It is closed, and not logged.
func TestD137_SilentTLS(t *testing.T) {
	cert, _ := certificate(t, "localhost", time.Hour)
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		defer client.Close()
		log := new(logCount)
		server := &Server{Logger: slog.New(log)}
		server.ServeConn(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}))
		server.reports.Wait(time.Minute)
		if lines := log.all(); len(lines) > 0 {
			t.Errorf("logged %q", lines)
		}
	})
}
