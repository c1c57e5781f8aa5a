package xclient

import (
	"net/http"

	"geerpc/xclient/internal/clientpage"
)

// DebugHandler returns a page that shows what the XClient does: for people in a browser, as
// text for curl, and as JSON for programs. It can be put on any mux, at any path, and is
// safe for concurrent use. It answers GET and HEAD. The page shows addresses of servers and
// registries, what servers say of themselves, and texts of errors: keep it off public
// networks, or behind a handler that asks for a login.
//
// In a browser the page keeps itself up to date. It works without JavaScript too, and then
// loads itself again every five seconds with ?refresh=5 (1 to 3600). A request gets text,
// HTML or JSON as its Accept header says, or with ?format=text, html or json. JSON is an
// object with these fields, to which others may be added:
//
//	state           "open", "draining" (Shutdown was called) or "closed"
//	process         host, program, pid, build, go
//	now             the time
//	uptime_seconds  since the XClient was made
//	in_flight       calls under way, each with all its attempts
//	discovery
//	  type          in Go, such as "*xclient.GeeRegistryDiscovery"
//	  registries    an array of those that a GeeRegistryDiscovery asks
//	    url         without a password
//	    state       "watched", "polled", "fails", "not asked yet", "asleep" (no call has
//	                used the list for a minute) or "never asked" (its URL is bad)
//	    error       the latest, while it fails
//	    failing_seconds
//	    age_seconds since it last confirmed its list; null: it never has
//	    servers     that it lists
//	    servers_kept  that it has forgotten, and that are called for a while longer
//	servers         an array, sorted by address: what Servers returns, and
//	  share         of the calls that recently began on any server, from 0 to 1
//	left            an array of the last servers that have left the list and are not back:
//	                addr, at, calls, and state and why as they were
//	retries         made, refused and left, as Counters has them; left is null if there is
//	                no limit
//	hedges          likewise
//	settings        an array: name, value, and whether that is the default
//	hints           an array of texts: what looks wrong
//
// Each of the servers has addr, state, why, until (null unless it is ejected), in_flight,
// unanswered_seconds, latency_seconds, answers, failures, failures_in_a_row,
// errors_by_code (numbers, by codes such as "not found"), mostly_errors (which are the
// server's fault), calls, recent_calls, share, connections, weight, services, metadata,
// legacy and silent.
func (xc *XClient) DebugHandler() http.Handler { return debugHandler{xc} }

// A debugHandler is comparable: those of one XClient are equal.
type debugHandler struct{ xc *XClient }

// ServeHTTP implements http.Handler.
func (h debugHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if err := clientpage.Serve(w, req, h.xc.debugInfo); err != nil {
		if logger := h.xc.set.opt.Logger; logger != nil {
			logger.Error("rpc xclient: debug page", "err", err)
		}
	}
}
