package geerpc

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"geerpc/internal/defaultmux"
	"geerpc/internal/transport"
	"geerpc/internal/webserver"
	"geerpc/internal/wire"
)

// A server behind HTTP: a client asks for it with CONNECT, and from the answer on
// the connection carries RPC. Other requests are calls: see requests.go.
const (
	connected        = "200 Connected to Gee RPC" // the status that GeeRPC's client wants
	connectedNetRPC  = transport.NetRPCStatus     // that of net/rpc's client
	defaultRPCPath   = "/_geeprc_"                // spelt so since the first version
	defaultDebugPath = "/debug/geerpc"
	netRPCPath       = "/_goRPC_" // where net/rpc's clients send CONNECT
)

// ServeHTTP answers calls over HTTP. The Server may be put on any mux:
//
//	http.Handle("/rpc/", http.StripPrefix("/rpc/", server))
//
// POST with the path /Service/Method, or /Service.Method, is a call. The body is the
// argument as JSON; without one the argument is zero. The answer is the reply as JSON, or
// an object with the code, message, where and ran of an Error, and a status that fits.
// POST with the path / or one name without a dot, such as /jsonrpc, is JSON-RPC 2.0. The
// content type is application/json. What else may be said is in headers:
//
//	Authorization: Bearer …             Server.Token
//	Connect-Timeout-Ms: 250             how long the caller waits
//	Metadata-Tenant: blue               Metadata of the key "tenant"; that of the reply comes back so
//	traceparent, tracestate, baggage    Metadata of these keys
//
// Requests of other origins' pages are refused, and on the loopback interface those for
// any host but localhost and an address. Server.Shutdown waits for calls, and the context
// of one ends when its client hangs up.
//
// CONNECT, at any path, serves RPC on the request's connection. If that is not the
// default path, clients need it as Option.HTTPPath. The connection then belongs to
// the Server: Server.Shutdown ends it, and http.Server.Shutdown does not.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodConnect {
		s.serveRequest(w, req)
		return
	}
	if !strings.HasPrefix(req.RequestURI, "/") { // scanners look for proxies
		http.Error(w, "403 this is no proxy: CONNECT takes a path, such as "+defaultRPCPath, http.StatusForbidden)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or a middleware that hides the connection
		s.report(slog.LevelWarn, "rpc server: hijacking", "peer", req.RemoteAddr, "err", err)
		http.Error(w, "500 RPC needs a connection of its own: use HTTP/1.1", http.StatusInternalServerError)
		return
	}
	conn.SetDeadline(time.Time{}) // the HTTP server's limits are for requests
	if _, err := io.WriteString(conn, "HTTP/1.0 "+connectedStatus(req)+"\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	conn, done := webserver.TakeBack(conn)
	defer done()
	c := newConn(s, wire.WithAhead(conn, ahead), nil)
	c.afterConnect = true
	s.serve(c)
}

// connectedStatus returns the status for a CONNECT request. GeeRPC's clients and net/rpc's
// each accept only their own. At other paths than the default ones they are told apart by
// the Host header, which net/rpc's do not send.
func connectedStatus(req *http.Request) string {
	if req.RequestURI == netRPCPath || req.RequestURI != defaultRPCPath && req.Host == "" {
		return connectedNetRPC
	}
	return connected
}

// HandleHTTP puts the Server at /_geeprc_ and its debug page at /debug/geerpc
// of http.DefaultServeMux. It is still necessary to call http.Serve. A path that
// is taken, perhaps by another Server, is not changed, and that is logged, to
// slog.Default if the Server has no Logger. Put a second Server on a mux or a
// path of its own, with http.Handle and DebugHandler.
func (s *Server) HandleHTTP() { s.HandleHTTPPath(defaultRPCPath, defaultDebugPath) }

// HandleHTTPPath is HandleHTTP with other paths, as net/rpc has it: its own are /_goRPC_
// and /debug/rpc.
func (s *Server) HandleHTTPPath(rpcPath, debugPath string) {
	s.handle(rpcPath, s)
	s.handle(debugPath, s.DebugHandler())
}

func (s *Server) handle(path string, h http.Handler) {
	err := defaultmux.Handle(path, h)
	if err == nil {
		return
	}
	logger := s.Logger
	if logger == nil {
		logger = slog.Default() // requests go to another handler: somebody must know
	}
	logger.Error("rpc server: HandleHTTP: another handler has the path and goes on getting its requests; "+
		"put this Server on a mux or a path of its own, with Handle(path, server) and server.DebugHandler()", "path", path, "err", err)
}

// HandleHTTP is Server.HandleHTTP for the DefaultServer.
func HandleHTTP() { DefaultServer.HandleHTTP() }
