package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/internal/handshake"
)

func TestB132_HostHeader(t *testing.T) {
	for host, want := range map[string]string{"fe80::1": "[fe80::1]", "10.0.0.1": "10.0.0.1", "/tmp/socket": "localhost", "": "localhost", "bücher.example": "localhost"} {
		if got := hostHeader(host); got != want {
			t.Errorf("the host %s is sent as %s, want %s", host, got, want)
		}
	}
}

func TestB133_HostOf(t *testing.T) {
	for address, want := range map[string]string{"[fe80::1%eth0]:99": "fe80::1", "[::1]:99": "::1", "10.0.0.1:99": "10.0.0.1",
		"example.com:99": "example.com", "example.com": "example.com", "fe80::1%eth0": "fe80::1"} {
		if got := hostOf(address); got != want {
			t.Errorf("the host of %s is %s, want %s", address, got, want)
		}
	}
}

func TestParseProtocol(t *testing.T) {
	for name, want := range map[string]Protocol{
		"tcp": {Network: "tcp"}, "unix": {Network: "unix"}, "tls": {Network: "tcp", TLS: true},
		"http": {Network: "tcp", HTTP: true}, "https": {Network: "tcp", TLS: true, HTTP: true},
	} {
		if got := ParseProtocol(name); got != want {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}

// pipeTo returns a Config whose connections serve answers.
func pipeTo(serve func(net.Conn)) Config {
	return Config{HTTPPath: "/rpc", Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go serve(far) // ends with the connection
		return near, nil
	}}
}

// What the server sends right behind its answer to CONNECT is not lost.
func TestConnect_Tunnel(t *testing.T) {
	conn, err := ParseProtocol("http").Connect(t.Context(), "10.0.0.1:80", pipeTo(func(far net.Conn) {
		defer far.Close()
		request, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil || request.Method != http.MethodConnect || request.Host != "10.0.0.1" || request.RequestURI != "/rpc" {
			t.Errorf("request is %+v, %v", request, err)
		}
		io.WriteString(far, "HTTP/1.0 200 OK\r\n\r\nhello")
	}))
	if err != nil {
		t.Fatal(err)
	}
	if said, _ := io.ReadAll(conn); string(said) != "hello" {
		t.Errorf("behind the answer is %q", said)
	}
	conn.Close()
}

// What answers CONNECT in another way is named.
func TestConnect_OtherServers(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 404 Not Found\r\n\r\n": "unexpected HTTP response: 404 Not Found; is there a geerpc server at /rpc",
		"\x15\x03\x01\x00\x02\x02\x0a":   "the server speaks TLS",
		"SSH-2.0-OpenSSH_9.6\r\n":        "no HTTP response to CONNECT",
		"":                               "no HTTP response to CONNECT",
	} {
		_, err := ParseProtocol("http").Connect(t.Context(), "10.0.0.1:80", pipeTo(func(far net.Conn) {
			http.ReadRequest(bufio.NewReader(far))
			io.WriteString(far, answer)
			far.Close()
		}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
	}
}

// A server that says nothing has the time of a handshake, and then the connection is
// closed.
func TestConnect_Silence(t *testing.T) {
	for _, name := range []string{"http", "tls", "https"} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			closed := make(chan struct{})
			_, err := ParseProtocol(name).Connect(t.Context(), "x", pipeTo(func(far net.Conn) {
				io.Copy(io.Discard, far)
				close(closed)
			}))
			if took := time.Since(start); !errors.Is(err, handshake.ErrTimeout) || took != handshake.Timeout {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			<-closed
		})
	}
}

// A badConn is a connection whose methods panic.
type badConn struct{ net.Conn }

func (badConn) Close() error { panic("no close") }

// A Close that panics is no panic of Connect, and there is an error if Dial returns
// nothing.
func TestConnect_BadDial(t *testing.T) {
	near, far := net.Pipe()
	far.Close()
	conns := []net.Conn{badConn{near}, nil, (*net.TCPConn)(nil)}
	for i, conn := range conns {
		_, err := ParseProtocol("https").Connect(t.Context(), "x", Config{Dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }})
		if err == nil || i > 0 && err != ErrNoConn {
			t.Errorf("%d: %v", i, err)
		}
	}
}
