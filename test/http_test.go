package test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"geerpc"
	"geerpc/codec"
)

// A web is a server that takes calls over HTTP, in one of the ways that there are.
type web struct {
	*geerpc.Server
	t      *testing.T
	way    string
	url    string // without a slash at its end
	client *http.Client
}

// webWays are the ways to a server over HTTP.
var webWays = []string{"port", "port-tls", "mux", "http2"}

// eachWay runs f over each way. The server has an Arith service; configure may add to it.
func eachWay(t *testing.T, configure func(*geerpc.Server), f func(t *testing.T, w *web)) {
	for _, way := range webWays {
		t.Run(way, func(t *testing.T) { f(t, newWeb(t, way, configure)) })
	}
}

// newWeb serves until the end of the test.
func newWeb(t *testing.T, way string, configure func(*geerpc.Server)) *web {
	t.Helper()
	w := &web{Server: geerpc.NewServer(), t: t, way: way, client: &http.Client{Transport: &http.Transport{}}}
	if err := w.Register(new(Arith)); err != nil {
		t.Fatal(err)
	}
	if configure != nil {
		configure(w.Server)
	}
	if strings.HasPrefix(way, "port") {
		w.servePort()
	} else {
		w.serveMux()
	}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// servePort serves the port that is the server's own, over TLS perhaps.
func (w *web) servePort() {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.url = "http://" + lis.Addr().String()
	if w.way == "port-tls" {
		cert, pool := certificate(w.t, "localhost", time.Hour)
		w.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		w.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
		w.url = "https://" + lis.Addr().String()
	}
	served := make(chan error, 1)
	go func() { served <- w.Serve(lis) }() // ends with the test
	w.t.Cleanup(func() { w.Close(); <-served })
}

// serveMux puts the server on a mux of an http.Server, which speaks HTTP/2 perhaps.
func (w *web) serveMux() {
	mux := http.NewServeMux()
	mux.Handle("/rpc/", http.StripPrefix("/rpc/", w.Server))
	hs := httptest.NewUnstartedServer(mux)
	if w.way == "http2" {
		hs.EnableHTTP2 = true
		hs.StartTLS()
	} else {
		hs.Start()
	}
	w.client, w.url = hs.Client(), hs.URL+"/rpc"
	w.t.Cleanup(func() { w.Close(); hs.Close() })
}

// An httpReply is the answer to a request.
type httpReply struct {
	Status int
	Header http.Header
	Body   string
}

// request returns a request as a program sends it. An empty value drops a header.
func (w *web) request(method, path, body string, header ...string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		switch name, value := header[i], header[i+1]; {
		case name == "Host":
			req.Host = value
		case value == "":
			req.Header.Del(name)
		default:
			req.Header.Set(name, value)
		}
	}
	return req
}

func (w *web) do(req *http.Request) (httpReply, error) {
	resp, err := w.client.Do(req)
	if err != nil {
		return httpReply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return httpReply{resp.StatusCode, resp.Header, string(body)}, err
}

// post sends a request that must be answered.
func (w *web) post(path, body string, header ...string) httpReply {
	w.t.Helper()
	reply, err := w.do(w.request(http.MethodPost, path, body, header...))
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return reply
}

// wantHTTPError checks an answer that is an error.
func wantHTTPError(t *testing.T, r httpReply, status int, code, where, ran, says string) {
	t.Helper()
	var e struct{ Code, Message, Where, Ran string }
	err := json.Unmarshal([]byte(r.Body), &e)
	if err != nil || r.Status != status || e.Code != code || e.Where != where || e.Ran != ran || !strings.Contains(e.Message, says) {
		t.Errorf("answer is %d %.500s, %v; want %d, %s, %s, %s, %s", r.Status, r.Body, err, status, code, where, ran, says)
	}
	if r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers are %v", r.Header)
	}
}

// Seen is what a method sees of its call.
type Seen struct {
	Metadata     geerpc.Metadata
	Addr         string
	TLS          bool
	Milliseconds int64 // until the deadline; 0: there is none
}

// registerSee registers a method that returns what it sees.
func registerSee(s *geerpc.Server) {
	geerpc.RegisterFunc(s, "Web.See", func(ctx context.Context, _ struct{}) (Seen, error) {
		peer, _ := geerpc.PeerFrom(ctx)
		seen := Seen{Metadata: geerpc.MetadataFrom(ctx), Addr: peer.Addr.String(), TLS: peer.TLS != nil}
		if deadline, ok := ctx.Deadline(); ok {
			seen.Milliseconds = time.Until(deadline).Milliseconds()
		}
		return seen, geerpc.SetReplyMetadata(ctx, "cache-age", "3")
	})
}

func TestHTTP_Calls(t *testing.T) {
	eachWay(t, registerSee, func(t *testing.T, w *web) {
		for _, path := range []string{"/Arith/Add", "/Arith.Add"} {
			r := w.post(path, `{"A":1,"B":2}`)
			if r.Status != 200 || r.Body != "{\"C\":3}\n" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Length") != "8" {
				t.Errorf("%s: %+v", path, r)
			}
		}
		for _, body := range []string{"", "null"} {
			if r := w.post("/Arith/Add", body, "Content-Type", "application/json; charset=utf-8"); r.Body != "{\"C\":0}\n" {
				t.Errorf("%q: %+v", body, r)
			}
		}
		wantHTTPError(t, w.post("/Arith/Div", `{"A":1}`), 500, "unknown", "method", "yes", "100% of load: division by zero")
		wantHTTPError(t, w.post("/Arith/Mul", `{}`), 404, "not_found", "server", "never", "method Mul of service Arith")
		wantHTTPError(t, w.post("/None/Mul", `{}`), 404, "not_found", "server", "never", "service None")
		wantHTTPError(t, w.post("/Arith/Add", `{"A":"one"}`), 400, "invalid_argument", "server", "never", "Arith.Add")
		wantHTTPError(t, w.post("/Arith/Add", `{"A":1`), 400, "invalid_argument", "server", "never", "JSON")
		wantHTTPError(t, w.post("/Arith/Panic", `{}`), 500, "internal", "method", "yes", "out of coffee")
		wantHTTPError(t, w.post("/Arith/Panic", `{"A":3}`), 500, "internal", "method", "yes", "goroutine")
		wantHTTPError(t, w.post("/Arith/Block", `{}`, "Connect-Timeout-Ms", "20"), 504, "deadline_exceeded", "method", "yes", "deadline")
	})
}

func TestHTTP_Headers(t *testing.T) {
	eachWay(t, registerSee, func(t *testing.T, w *web) {
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		r := w.post("/Web/See", "", "Connect-Timeout-Ms", "60000", "traceparent", trace, "baggage", "k=v", "Metadata-Tenant", "blue", "Cookie", "c=d")
		var seen Seen
		if err := json.Unmarshal([]byte(r.Body), &seen); err != nil {
			t.Fatalf("%+v", r)
		}
		if md := seen.Metadata; len(md) != 3 || md["traceparent"] != trace || md["baggage"] != "k=v" || md["tenant"] != "blue" {
			t.Errorf("metadata is %q", md)
		}
		host, _, err := net.SplitHostPort(seen.Addr)
		if secure := w.way == "port-tls" || w.way == "http2"; seen.TLS != secure || host != "127.0.0.1" || err != nil {
			t.Errorf("peer is %s, TLS: %v", seen.Addr, seen.TLS)
		}
		if seen.Milliseconds < 1000 || seen.Milliseconds > 60000 {
			t.Errorf("%d ms are left", seen.Milliseconds)
		}
		if r.Header.Get("Metadata-Cache-Age") != "3" {
			t.Errorf("headers are %v", r.Header)
		}
		seen = Seen{}
		if json.Unmarshal([]byte(w.post("/Web/See", "").Body), &seen); seen.Metadata != nil || seen.Milliseconds != 0 {
			t.Errorf("without headers: %+v", seen)
		}
		wantHTTPError(t, w.post("/Web/See", "", "Connect-Timeout-Ms", "soon"), 400, "invalid_argument", "server", "never", "soon")
		wantHTTPError(t, w.post("/Web/See", "", "Metadata-Tenant", strings.Repeat("b", geerpc.MaxMetadataBytes)), 400, "invalid_argument", "server", "never", "metadata")
	})
}

// What the Server's fields leave out is not served.
func TestHTTP_Off(t *testing.T) {
	for _, c := range []struct {
		name          string
		configure     func(*geerpc.Server)
		call, jsonRPC int
	}{
		{"HTTP", func(s *geerpc.Server) { s.Protocols = []*geerpc.Protocol{geerpc.GeeRPC, geerpc.JSONRPC} }, 501, 501},
		{"JSON", func(s *geerpc.Server) { s.Codecs = []codec.Type{codec.GobType} }, 501, 501},
		{"JSON-RPC", func(s *geerpc.Server) { s.Protocols = []*geerpc.Protocol{geerpc.HTTP} }, 200, 404},
		{"nothing", func(s *geerpc.Server) { s.Codecs, s.Protocols = []codec.Type{codec.JsonType}, geerpc.AllProtocols() }, 200, 200},
	} {
		w := newWeb(t, "mux", c.configure)
		call, jsonRPC := w.post("/Arith/Add", ""), w.post("/", `{"jsonrpc":"2.0","method":"Arith.Add","id":1}`)
		if call.Status != c.call || jsonRPC.Status != c.jsonRPC {
			t.Errorf("without %s: %+v and %+v", c.name, call, jsonRPC)
		}
	}
}

func TestHTTP_JSONRPC(t *testing.T) {
	eachWay(t, registerSee, func(t *testing.T, w *web) {
		for _, c := range []struct{ body, want string }{
			{`{"jsonrpc":"2.0","method":"Arith.Add","params":{"A":1,"B":2},"id":"x"}`, `{"jsonrpc":"2.0","result":{"C":3},"id":"x"}` + "\n"},
			{`{"jsonrpc":"2.0","method":"Arith.Add","params":[1,2],"id":"x"}`, `{"jsonrpc":"2.0","result":{"C":3},"id":"x"}` + "\n"},
			{`{"method":"Arith.Add","params":[{"A":1,"B":2}],"id":7}`, `{"id":7,"result":{"C":3},"error":null}` + "\n"},
			{`[{"jsonrpc":"2.0","method":"Arith.Add","params":[1,2],"id":1}]`, `[{"jsonrpc":"2.0","result":{"C":3},"id":1}]` + "\n"},
			{`{"jsonrpc":"2.0","method":"Arith.Add","params":[1,2]}`, ""},
			{`[{"jsonrpc":"2.0","method":"Arith.Add"},{"jsonrpc":"2.0","method":"None.Such"}]`, ""},
		} {
			for _, path := range []string{"/", "/jsonrpc"} {
				r := w.post(path, c.body)
				if length := r.Header.Get("Content-Length"); r.Status != 200 || r.Body != c.want || length != strconv.Itoa(len(c.want)) {
					t.Errorf("%s: %d %s, length %s", c.body, r.Status, r.Body, length)
				}
			}
		}
		for body, number := range map[string]string{`{"jsonrpc":"2.0"`: "-32700", `[]`: "-32600", `{"jsonrpc":"2.0","method":"None.Such","id":1}`: "-32601",
			`{"jsonrpc":"2.0","method":"Arith.Add","params":[1,2,3],"id":1}`: "-32602"} {
			if r := w.post("/", body, "Content-Type", "application/json-rpc"); r.Status != 200 || !strings.Contains(r.Body, number) {
				t.Errorf("%s: %d %s", body, r.Status, r.Body)
			}
		}
		wantHTTPError(t, w.post("/", ""), 400, "invalid_argument", "server", "never", "JSON value")
		r := w.post("/", `[{"jsonrpc":"2.0","method":"Web.See","id":1},{"jsonrpc":"2.0","method":"Web.See","id":2}]`, "Metadata-Tenant", "blue", "Connect-Timeout-Ms", "60000")
		if n := strings.Count(r.Body, `"Metadata":{"tenant":"blue"}`); n != 2 || strings.Contains(r.Body, `"Milliseconds":0`) {
			t.Errorf("a batch with metadata: %s", r.Body)
		}
	})
}

// A TLSConfig that offers HTTP/2 serves clients that would like it, with HTTP/1.1.
func TestHTTP_NoHTTP2OnPort(t *testing.T) {
	cert, pool := certificate(t, "localhost", time.Hour)
	e := newEnv(t, "tcp", codec.JsonType)
	e.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	e.start()
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}}}
	response, err := client.Post("https://"+e.lis.Addr().String()+"/Arith/Add", "application/json", strings.NewReader(`{"A":1,"B":2}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK || response.ProtoMajor != 1 {
		t.Errorf("%s %s: %s", response.Proto, response.Status, body)
	}
}
