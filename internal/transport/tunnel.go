package transport

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"

	"geerpc/internal/codes"
	"geerpc/internal/handshake"
	"geerpc/internal/usercode"
	"geerpc/internal/wire"
)

// Tunnel asks the HTTP server at the other end of conn for the RPC server at a path, as c
// says. It is limited like Connect.
func Tunnel(ctx context.Context, conn net.Conn, c Config) (net.Conn, error) {
	return within(ctx, conn, func(context.Context) (net.Conn, error) {
		host := ""
		if addr := usercode.RemoteAddr(conn); addr != nil {
			host = hostOf(addr.String())
		}
		return tunnel(conn, host, c)
	})
}

// tunnel asks for the RPC server behind an HTTP server at host.
func tunnel(conn net.Conn, host string, c Config) (net.Conn, error) {
	_, err := io.WriteString(conn, "CONNECT "+c.HTTPPath+" HTTP/1.0\r\nHost: "+hostHeader(host)+"\r\n\r\n")
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(io.LimitReader(conn, handshake.MaxBytes))
	if first, _ := in.Peek(1); len(first) > 0 && first[0] == handshake.TLSAlert {
		return nil, handshake.ErrSpeaksTLS
	}
	response, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil:
		return nil, fmt.Errorf("no HTTP response to CONNECT; is it an HTTP server, and one with TLS if asked for? %w", err)
	case response.Status == handshake.NoHTTP:
		return nil, &handshake.Error{Reason: handshake.WrongServer,
			Text: "the server is a geerpc server without HTTP: use Dial, or tcp@ (with TLS tls@) in front of the address"}
	case response.Status == NetRPCStatus && !c.NetRPC:
		return nil, &handshake.Error{Reason: handshake.WrongServer,
			Text: "the server is one of net/rpc, which speaks another protocol: set Option.Protocol to NetRPC"}
	case response.StatusCode == http.StatusServiceUnavailable:
		why, _ := io.ReadAll(io.LimitReader(response.Body, 256))
		return nil, &handshake.Error{Reason: handshake.Refused, Code: codes.Unavailable, Text: fmt.Sprintf("%s: %s", response.Status, bytes.TrimSpace(why))}
	case response.StatusCode/100 != 2:
		return nil, &handshake.Error{Reason: handshake.WrongServer,
			Text: fmt.Sprintf("unexpected HTTP response: %.256s; is there a geerpc server at %s, and does it want TLS (https@)?", response.Status, c.HTTPPath)}
	}
	ahead, _ := in.Peek(in.Buffered())
	return wire.WithAhead(conn, ahead), nil
}

// NetRPCStatus is the status with which net/rpc answers to CONNECT.
const NetRPCStatus = "200 Connected to Go RPC"

// hostHeader returns the Host header for a host. It has no port, because an
// http.ServeMux compares the host of a CONNECT with its patterns as it is.
func hostHeader(host string) string {
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Is6():
		return "[" + host + "]"
	case err == nil || hostName.MatchString(host):
		return host
	}
	return "localhost" // such as for the path of a Unix socket
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
