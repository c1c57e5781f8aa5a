// Package debugpage is the debug page of a server: a page for people, and the
// same as JSON for programs. It knows what is shown and how, and not where the
// numbers come from.
//
//	request ──→ Serve ──→ JSON   (?format=json, or Accept)
//	              ↑   └─→ HTML   (page.html, page.css)
//	         info() *Info
package debugpage

import (
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"geerpc/internal/page"
)

// MaxConns limits the connections that are listed.
const MaxConns = 100

// An Info is what the page shows.
type Info struct {
	State         string  `json:"state"` // open, draining or closed
	UptimeSeconds float64 `json:"uptime_seconds"`
	Goroutines    int     `json:"goroutines"`
	Counts
	UnknownCalls int64     `json:"unknown_calls"`
	Services     []Service `json:"services"`
	Connections  Conns     `json:"connections"`
}

// Counts are the calls of one method, or of all.
type Counts struct {
	Calls    int64 `json:"calls"`
	Errors   int64 `json:"errors"`
	InFlight int64 `json:"in_flight"`
}

// A Service is a section of the page.
type Service struct {
	Name    string   `json:"name"`
	Methods []Method `json:"methods"`
}

// A Method is a row of a Service.
type Method struct {
	Name      string `json:"name"`
	Signature string `json:"signature"`
	Counts
}

// Params returns the signature without the name.
func (m Method) Params() string { return strings.TrimPrefix(m.Signature, m.Name) }

// Conns are the connections, of which at most MaxConns are listed.
type Conns struct {
	Open        int    `json:"open"`
	Handshaking int    `json:"handshaking"`
	Limit       int    `json:"limit"`
	Rejected    int64  `json:"rejected"`
	List        []Conn `json:"list"`
}

// Unlisted returns how many connections the list leaves out.
func (c Conns) Unlisted() int { return c.Open - len(c.List) }

// A Conn is a row of Conns.
type Conn struct {
	Peer       string  `json:"peer"`
	TLS        bool    `json:"tls"`
	Codec      string  `json:"codec"`  // "" until the handshake is done
	Layout     string  `json:"layout"` // likewise
	InFlight   int64   `json:"in_flight"`
	Gone       bool    `json:"gone"`
	AgeSeconds float64 `json:"age_seconds"`
}

// Serve answers a request with what info returns. It fails if the page's template
// does; the answer is 500 then.
func Serve(w http.ResponseWriter, req *http.Request, info func() *Info) error {
	debugPage.SetHeader(w.Header())
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 must GET", http.StatusMethodNotAllowed)
		return nil
	}
	query := req.URL.Query()
	if format := query.Get("format"); format == "json" || format == "" && prefersJSON(req.Header) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(info()) // an error is one of the connection
		return nil
	}
	return debugPage.Write(w, query, info())
}

// prefersJSON reports whether a request comes from a program, not from a browser.
func prefersJSON(header http.Header) bool {
	return page.Accepts(header, "application/json") && !page.Accepts(header, "text/html")
}

var (
	//go:embed page.html
	html string
	//go:embed page.css
	css string

	debugPage = page.New(html, css, template.FuncMap{"percent": formatPercent})
)

// formatPercent formats part/whole. It says 0 % only of nothing, and 100 % only of
// everything.
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
