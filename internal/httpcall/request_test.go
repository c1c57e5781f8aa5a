package httpcall

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestMethodOf(t *testing.T) {
	for path, want := range map[string]string{
		"/Arith/Add":          "Arith.Add",
		"/Arith.Add":          "Arith.Add",
		"Arith/Add":           "Arith.Add", // behind http.StripPrefix
		"/Arith/Add/":         "Arith.Add",
		"/pkg.Service/Method": "pkg.Service.Method",
		"/pkg.Service.Method": "pkg.Service.Method",
		"/a/b/c":              "a/b.c",
		"/":                   "",
		"":                    "",
		"/rpc":                "",
		"/rpc/":               "",
		"/Arith.":             "Arith.", // no method has that name
		"/.Add":               ".Add",
	} {
		if got := methodOf(path); got != want {
			t.Errorf("%q asks for %q, want %q", path, got, want)
		}
	}
}

func TestTimeoutOf(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"250":        250 * time.Millisecond,
		"1":          time.Millisecond,
		"0":          1, // the time is up, which is not the same as no limit
		"9999999999": 9999999999 * time.Millisecond,
		"0000000001": time.Millisecond,
	} {
		if got, err := timeoutOf(http.Header{timeoutHeader: {value}}); err != nil || got != int64(want) {
			t.Errorf("%q is %v, %v", value, time.Duration(got), err)
		}
	}
	for _, value := range []string{"", "1s", "-1", "+1", "1.5", "0x10", "1_000", " 1", "00000000001", "10000000000"} {
		if got, err := timeoutOf(http.Header{timeoutHeader: {value}}); err == nil {
			t.Errorf("%q is %v", value, time.Duration(got))
		}
	}
	if got, err := timeoutOf(http.Header{}); got != 0 || err != nil {
		t.Error(got, err)
	}
}

func TestMetadataOf(t *testing.T) {
	header := make(http.Header)
	for _, pair := range [][2]string{
		{"Metadata-Tenant", "blue"},
		{"metadata-UPPER-case.key", "x"},
		{"Metadata-", "no key"}, // for the core to refuse
		{"Metadata-Traceparent", "not this one"},
		{"Traceparent", "00-1234-5678-01"},
		{"Tracestate", "a=1"},
		{"Tracestate", "b=2"},
		{"Baggage", "user=7"},
		{"Cookie", "not=metadata"},
		{"Authorization", "Bearer secret"},
		{"X-Metadata-Other", "x"},
	} {
		header.Add(pair[0], pair[1])
	}
	want := map[string]string{"tenant": "blue", "upper-case.key": "x", "": "no key",
		"traceparent": "00-1234-5678-01", "tracestate": "a=1,b=2", "baggage": "user=7"}
	if got := metadataOf(header); !maps.Equal(got, want) {
		t.Errorf("metadata is %q", got)
	}
	if got := metadataOf(http.Header{"Accept": {"*/*"}}); got != nil {
		t.Errorf("metadata is %q", got)
	}
}

func TestPeerOf(t *testing.T) {
	for _, c := range []struct {
		remote, network, wantText, wantNetwork string
	}{
		{"192.0.2.1:1234", "tcp", "192.0.2.1:1234", "tcp"},
		{"[2001:db8::1]:1234", "tcp", "[2001:db8::1]:1234", "tcp"},
		{"192.0.2.1", "tcp", "192.0.2.1", "tcp"}, // as middlewares write it
		{"@", "unix", "@", "unix"},
		{"", "", "", "tcp"},
	} {
		req := httptest.NewRequest(http.MethodPost, "/", nil)
		req.RemoteAddr = c.remote
		if c.network != "" {
			var local net.Addr = address{c.network, "here"}
			req = req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, local))
		}
		if got := peerOf(req); got.String() != c.wantText || got.Network() != c.wantNetwork {
			t.Errorf("%q on %q is %s of %s", c.remote, c.network, got, got.Network())
		}
	}
}
