package test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/handshake"
)

// What the port turned out to be is said, and the way out.
func TestDial_OtherServers(t *testing.T) {
	cert, _ := certificate(t, "localhost", time.Hour)
	secret := httptest.NewUnstartedServer(http.NotFoundHandler())
	secret.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	secret.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	secret.StartTLS()
	defer secret.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	cases := []struct {
		name, addr, want string
		code             geerpc.Code
	}{
		{"HTTP", "tcp@" + plain.Listener.Addr().String(), "use DialHTTP", geerpc.CodeUnavailable},
		{"HTTPS", "tcp@" + secret.Listener.Addr().String(), "", geerpc.CodeUnavailable},
		{"TLS to HTTP", "tls@" + plain.Listener.Addr().String(), "HTTP without TLS", geerpc.CodeUnavailable},
		{"HTTP to HTTPS", "http@" + secret.Listener.Addr().String(), "", geerpc.CodeUnavailable},
		{"unknown network", "tpc@localhost:1", "unknown network tpc", geerpc.CodeInvalidArgument},
		{"no port", "tcp@localhost", "missing port", geerpc.CodeInvalidArgument},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := geerpc.XDial(c.addr)
			var e *geerpc.Error
			if !errors.As(err, &e) || e.Code != c.code || e.Ran != geerpc.RanNever || !strings.Contains(e.Error(), c.want) {
				t.Errorf("%v", err)
			}
			t.Log(err)
		})
	}
}

// Servers that speak TLS may answer a hello with an alert.
func TestDial_TLSAlert(t *testing.T) {
	client, server := net.Pipe()
	go func() { // ends with the hello
		server.Read(make([]byte, handshake.MaxBytes))
		server.Write([]byte{handshake.TLSAlert, 3, 1, 0, 2, 2, 10})
		server.Close()
	}()
	_, err := geerpc.NewClient(client, nil)
	wantError(t, err, geerpc.CodeUnauthenticated, geerpc.OnLink, geerpc.RanNever)
	if !strings.Contains(err.Error(), "set Option.TLSConfig") {
		t.Error(err)
	}
}

// A server takes the codecs on its list and no other.
func TestServerCodecs(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	e.Codecs = []codec.Type{codec.JsonType}
	mustAdd(t, e.dial(nil))
	e.codec = codec.GobType
	_, err := e.tryDial(nil)
	wantError(t, err, geerpc.CodeInvalidArgument, geerpc.InServer, geerpc.RanNever)
	if !strings.Contains(err.Error(), `takes ["application/json"]`) {
		t.Error(err)
	}
}
