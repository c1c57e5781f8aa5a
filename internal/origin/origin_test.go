package origin

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCheck(t *testing.T) {
	const loopback, lan, v6 = "127.0.0.1", "192.0.2.7", "::1"
	for _, c := range []struct {
		name, local, host string
		header            []string
		ok                bool
	}{
		{"a program", loopback, "localhost:9999", nil, true},
		{"without a port", loopback, "localhost", nil, true},
		{"by its address", loopback, "127.0.0.1:9999", nil, true},
		{"by its address, version 6", v6, "[::1]:9999", nil, true},
		{"version 6, without a port", v6, "[::1]", nil, true},
		{"a name made to lead here", loopback, "evil.example:9999", nil, false},
		{"a name that begins like ours", loopback, "localhost.evil.example", nil, false},
		{"no name", loopback, "", nil, false},
		{"on the network any name", lan, "rpc.example:9999", nil, true},
		{"on a Unix socket any name", "", "rpc.example", nil, true},
		{"a page of this origin", loopback, "localhost:9999", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:9999"}, true},
		{"a page of another site", loopback, "localhost:9999", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"a page of a sibling site", lan, "rpc.example", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"an old browser", lan, "rpc.example", []string{"Origin", "http://evil.example"}, false},
		{"a file", lan, "rpc.example", []string{"Origin", "null"}, false},
		{"a page whose name leads here", loopback, "evil.example", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://evil.example"}, false},
	} {
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		var local net.Addr = &net.UnixAddr{Net: "unix"}
		if c.local != "" {
			local = &net.TCPAddr{IP: net.ParseIP(c.local), Port: 9999}
		}
		req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, local))
		req.Host = c.host
		if len(c.header) > 1 {
			for i := 0; i < len(c.header); i += 2 {
				req.Header.Set(c.header[i], c.header[i+1])
			}
		}
		if err := Check(req); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
