// Package clientpage is the debug page of an XClient: for people in a browser, as text in a
// terminal, and as JSON for programs. It knows what is shown and how, and not where the
// numbers come from.
package clientpage

import (
	"cmp"
	_ "embed" // the page
	"fmt"
	"maps"
	"net/http"
	"slices"

	"geerpc/internal/page"
)

// maxRows limits the servers on the page. JSON has all.
const maxRows = 200

var (
	//go:embed page.html
	html string
	//go:embed page.txt
	text string
	//go:embed page.css
	css string

	clientPage = page.New(page.Source{HTML: html, Text: text, Style: css})
)

// Serve answers a request with what info returns. It fails if a template does; the answer
// is 500 then.
func Serve(w http.ResponseWriter, req *http.Request, info func() *Info) error {
	return clientPage.Serve(w, req, func() any { return info() }, func() any { return newView(info()) })
}

// A view is an Info as the templates want it.
type view struct {
	*Info
	Rows  []row // the worst first
	Bad   int   // servers that get no calls, for a reason
	Ready int
}

// A row is a Server as the templates want it.
type row struct{ Server }

// severities are the states, the worst first.
var severities = []string{"ejected", "on probation", "out of reach", "draining", "dialling", "ready", "idle"}

// severity is lower for worse servers.
func (r row) severity() int {
	state := r.State
	if r.IsErring() {
		state = "draining" // is as bad
	}
	return slices.Index(severities, state)
}

// IsErring reports whether the server is ready, and answers with errors most of the time.
func (s *Server) IsErring() bool { return s.State == "ready" && s.MostlyErrors }

func newView(info *Info) *view {
	v := &view{Info: info}
	for _, s := range info.Servers {
		v.Rows = append(v.Rows, row{s})
		switch s.State {
		case "ready":
			v.Ready++
		case "ejected", "on probation", "out of reach":
			v.Bad++
		}
	}
	slices.SortStableFunc(v.Rows, func(a, b row) int {
		return cmp.Compare(a.severity(), b.severity())
	})
	v.Rows = v.Rows[:min(len(v.Rows), maxRows)]
	return v
}

// Unlisted returns how many servers are not shown.
func (v *view) Unlisted() int { return len(v.Servers) - len(v.Rows) }

// IsBad reports whether the registry is of no use now.
func (r Registry) IsBad() bool { return r.State == Fails || r.State == Unusable }

// Allowed says how many further attempts may be made.
func (b Budget) Allowed() string {
	if b.Left == nil {
		return "no limit"
	}
	return fmt.Sprintf("%.0f allowed now", max(*b.Left, 0))
}

// Color returns the class of the state: what it means for calls.
func (r row) Color() string {
	switch {
	case r.IsErring():
		return "warn"
	case r.State == "ready":
		return "open"
	case r.State == "ejected", r.State == "out of reach":
		return "bad"
	case r.State == "idle":
		return "idle"
	}
	return "warn"
}

// Errors returns the errors by code.
func (r row) Errors() []string {
	list := make([]string, 0, len(r.ErrorsByCode))
	for _, code := range slices.Sorted(maps.Keys(r.ErrorsByCode)) {
		list = append(list, fmt.Sprintf("%d %s", r.ErrorsByCode[code], code))
	}
	return list
}

// ServiceWords returns the services to show.
func (r row) ServiceWords() []string { return page.Words(r.Services) }

// MetadataWords returns the metadata to show.
func (r row) MetadataWords() []string { return page.Pairs(r.Metadata) }

// UntilSeconds returns the seconds until the end of an ejection.
func (v *view) UntilSeconds(r row) float64 { return max(0, r.Until.Sub(v.Now).Seconds()) }
