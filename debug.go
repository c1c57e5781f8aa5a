package geerpc

import (
	"net/http"

	"geerpc/internal/debugpage"
)

// DebugHandler returns a page that shows what the Server does: for people in a browser, as
// text for curl, and as JSON for programs. It can be put on any mux, at any path, and is
// safe for concurrent use. It answers GET and HEAD and, with AllowDebugCalls, a POST of the
// page's form. The page shows types of arguments,
// texts of errors and addresses of clients: keep it off public networks, or behind a handler
// that asks for a login.
//
// In a browser the page keeps itself up to date. It works without JavaScript too, and then
// loads itself again every five seconds with ?refresh=5 (1 to 3600). It has the numbers of the
// last minute, or with ?window=hour and ?window=day those, and with ?method=Arith.Add what
// is known of that method. A request gets text, HTML or JSON as its Accept header says, or
// with ?format=text, html or json. JSON is an object with these fields, to which others
// may be added:
//
//	state           "idle" (nothing to serve yet), "open", "draining" (Shutdown was
//	                called) or "closed"
//	server          host, program, pid, listeners (as "tcp 127.0.0.1:9999"), build, go
//	now             the time
//	uptime_seconds  since the Server was first given a listener or connection
//	goroutines      of the whole process
//	calls           to all methods, since the start; the next two likewise
//	errors
//	in_flight
//	last_minute     of the calls to all methods that have ended in this time; last_hour
//	                and last_day likewise
//	  calls
//	  calls_per_second
//	  errors
//	  errors_by_code  an object of numbers, by codes such as "not found"
//	  p50_seconds   how long the methods took, with the interceptors: half of the calls no
//	                longer than this; and p90, p99, p999_seconds. Calls that failed before
//	                their method began are left out.
//	  rate          an array of 30 numbers: calls in each part of the time, oldest first
//	unknown_calls   to methods that do not exist, not counted above
//	services        an array, sorted by name
//	  name
//	  methods       an array, sorted by name
//	    name
//	    signature   such as "Add(args main.Args, reply *main.Reply) error"
//	    calls       that have begun
//	    errors      of these: answered with an error
//	    in_flight   of these: running now
//	    last_minute, last_hour, last_day
//	    samples     an array of calls that have ended, a few of each code and duration:
//	                at, seconds, code, peer, error, trace
//	  skipped       an array of methods that can't be called: name, why
//	running         an array of at most 20 calls under way, the oldest first: method,
//	                peer, seconds, abandoned (the caller has left)
//	connections
//	  open          in whatever state
//	  handshaking   of these: not yet ready for calls
//	  limit         Server.MaxConns, 0 if there is none
//	  rejected      turned away, for their handshake or because of the limit
//	  lost          broken, or closed because of a limit
//	  list          an array of at most 100: the busiest first, then the oldest,
//	                those in their handshake last
//	    peer        the address, "" if there is none
//	    tls         whether TLS protects it
//	    codec       "" until the handshake is done
//	    layout      "plain", as GeeRPC has always had it, or "framed", with
//	                deadlines, cancelling and metadata; "" as for codec
//	    compression whether what the client sends is compressed
//	    calls       so far
//	    in_flight   calls not yet answered, those that wait for their turn too
//	    max_in_flight  as many as there may be, 0 if there is no limit
//	    received_bytes, sent_bytes
//	    draining    the client has been told to leave
//	    gone        the connection is closed, its methods have not returned
//	    age_seconds
//	    events      an array of at most 5 things out of the ordinary: at, what
//	refused         an array of reasons for which connections were rejected or lost, or
//	                calls of unknown methods refused, the latest first: reason, count,
//	                at and peer (the last time)
//	settings        an array: name, value, and whether that is the default
//	hints           an array of texts: what looks wrong
//
// A call that a HandleTimeout has answered is in flight until its method returns, and counts
// as an error only then: if methods hang, look at those running. A function registered with RegisterFunc is shown
// as a method.
func (s *Server) DebugHandler() http.Handler { return debugHandler{s} }

// A debugHandler is comparable: those of one Server are equal.
type debugHandler struct{ server *Server }

// ServeHTTP implements http.Handler.
func (h debugHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := debugpage.Serve(w, req, h.server.debugSource()); err != nil {
		h.server.logger().Error("rpc server: debug page", "err", err)
	}
}
