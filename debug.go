package geerpc

import (
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"

	"geerpc/internal/page"
)

type debugHandler struct{ server *Server }

// DebugHandler returns a page for people, and the same as JSON for programs:
// what the Server offers, how often each method was called and failed, and who
// is connected. It goes on any mux, at any path, and is safe for concurrent
// use. It answers GET and HEAD. What it shows, types of arguments and addresses
// of clients among it, is not for everybody: keep it off public networks, or
// behind a handler that asks who is there.
//
// The page needs no JavaScript; with ?refresh=5 it loads itself again every
// five seconds (1 to 3600). With ?format=json, or to a request that accepts
// application/json and does not accept text/html, it is an object with these
// fields, to which others may be added:
//
//	state           "open", "draining" (Shutdown was called) or "closed"
//	uptime_seconds  since the Server was first given a listener or connection
//	goroutines      of the whole process
//	calls           to all methods; the next two likewise
//	errors
//	in_flight
//	unknown_calls   to methods that do not exist, not counted above
//	services        an array, sorted by name
//	  name
//	  methods       an array, sorted by name
//	    name
//	    signature   such as "Add(args main.Args, reply *main.Reply) error"
//	    calls       that have begun
//	    errors      of these: answered with an error
//	    in_flight   of these: running now
//	connections
//	  open          in whatever state
//	  handshaking   of these: not yet ready for calls
//	  limit         Server.MaxConns, 0 if there is none
//	  rejected      turned away, for their handshake or because of the limit
//	  list          an array of at most 100: the busiest first, then the oldest,
//	                those in their handshake last
//	    peer        the address, "" if there is none
//	    tls         whether TLS protects it
//	    codec       "" until the handshake is done
//	    layout      "plain", as GeeRPC has always had it, or "framed", with
//	                deadlines, cancelling and metadata; "" as for codec
//	    in_flight   calls not yet answered, those that wait for their turn too
//	    gone        the connection is closed, its methods have not returned
//	    age_seconds
//
// A method that a HandleTimeout has answered for is an error, and in flight
// until it returns. A function registered with RegisterFunc is shown in the
// form of a method.
func (s *Server) DebugHandler() http.Handler { return debugHandler{s} }

// ServeHTTP implements http.Handler.
func (d debugHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	debugPage.SetHeader(w.Header())
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 must GET", http.StatusMethodNotAllowed)
		return
	}
	query, info := req.URL.Query(), d.server.debugInfo()
	if format := query.Get("format"); format == "json" || format == "" && prefersJSON(req.Header) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(info)
	} else if err := debugPage.Write(w, query, info); err != nil {
		d.server.logger().Error("rpc server: debug page", "err", err)
	}
}

// prefersJSON reports whether a request is from a program rather than from a
// browser.
func prefersJSON(header http.Header) bool {
	return page.Accepts(header, "application/json") && !page.Accepts(header, "text/html")
}

var (
	//go:embed debug.html
	debugHTML string
	//go:embed debug.css
	debugCSS string

	debugPage = page.New(debugHTML, debugCSS, template.FuncMap{"percent": formatPercent})
)

// formatPercent writes part of whole: never 0 % of what is there, never 100 %
// of what is not all.
func formatPercent(part, whole int64) string {
	percent := 100 * float64(part) / float64(max(whole, 1))
	switch {
	case part > 0 && part >= whole:
		return "100 %"
	case part > 0 && percent < 0.1:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", min(percent, 99.9))
}
