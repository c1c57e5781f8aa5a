package geerpc

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxDebugRefresh limits how seldom the page may be asked to load itself
// again, in seconds.
const maxDebugRefresh = 3600

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
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", debugPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "405 must GET", http.StatusMethodNotAllowed)
		return
	}
	query := req.URL.Query()
	render, contentType := renderPage, "text/html; charset=utf-8"
	if format := query.Get("format"); format == "json" || format == "" && prefersJSON(req.Header) {
		render, contentType = renderJSON, "application/json"
	} else if n, err := strconv.Atoi(query.Get("refresh")); err == nil && n > 0 && n <= maxDebugRefresh {
		header.Set("Refresh", strconv.Itoa(n))
	}
	var page bytes.Buffer
	if err := render(&page, d.server.debugInfo()); err != nil {
		d.server.logger().Error("rpc server: debug page", "err", err)
		http.Error(w, "500 the page can't be shown", http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", contentType)
	w.Write(page.Bytes())
}

// prefersJSON reports whether a request is from a program rather than from a
// browser.
func prefersJSON(header http.Header) bool {
	wantsJSON := false
	for accepted := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		switch mediaType, _, _ := mime.ParseMediaType(accepted); mediaType {
		case "application/json":
			wantsJSON = true
		case "text/html":
			return false
		}
	}
	return wantsJSON
}

func renderJSON(page *bytes.Buffer, info *debugInfo) error {
	enc := json.NewEncoder(page)
	enc.SetIndent("", "  ")
	return enc.Encode(info)
}

func renderPage(page *bytes.Buffer, info *debugInfo) error { return debugPage.Execute(page, info) }

var (
	//go:embed debug.html
	debugHTML string
	//go:embed debug.css
	debugCSS string

	// debugStyle is what a browser sees of the style, whatever line ends the
	// checkout has: its hash depends on it.
	debugStyle = strings.ReplaceAll(debugCSS, "\r\n", "\n")

	debugPage = template.Must(template.New("debug").Funcs(template.FuncMap{
		"style":   func() template.CSS { return template.CSS(debugStyle) },
		"count":   formatCount,
		"span":    formatSpan,
		"percent": formatPercent,
	}).Parse(debugHTML))

	// debugPolicy has browsers apply this one style, and load or run nothing.
	debugPolicy = "default-src 'none'; style-src 'sha256-" + hashOf(debugStyle) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// formatCount writes an integer, of any type, with its thousands apart:
// 1,234,567.
func formatCount(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatSpan writes a time in the two units that matter: 3 d 4 h.
func formatSpan(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

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
