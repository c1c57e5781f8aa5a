// Package debugpage is the debug page of a server: for people in a browser, as text in a
// terminal, and as JSON for programs. It knows what is shown and how, and not where the
// numbers come from.
//
//	request ──→ Serve ──→ HTML    (page.html, page.css), once or as a stream of events
//	              ↑   ├─→ text    (page.txt)
//	              │   └─→ JSON    (the fields of Info)
//	         info() *Info
package debugpage

import (
	_ "embed" // the page
	"net/http"
	"net/url"

	"geerpc/internal/callstats"
	"geerpc/internal/page"
)

// Serve answers a request with what info returns. It fails if a template does; the answer
// is 500 then.
func Serve(w http.ResponseWriter, req *http.Request, info func() *Info) error {
	query := req.URL.Query()
	return debugPage.Serve(w, req, func() any { return info() }, func() any { return newView(query, info()) })
}

var (
	//go:embed page.html
	html string
	//go:embed page.txt
	text string
	//go:embed page.css
	css string

	debugPage = page.New(page.Source{HTML: html, Text: text, Style: css, Funcs: map[string]any{"spark": spark, "bars": bars}})
)

// A view is an Info as a request wants to see it: the numbers of one span, and perhaps
// one method.
type view struct {
	*Info
	Span     callstats.Span
	Selected string // "Service.Method", "" for all
}

func newView(query url.Values, info *Info) *view {
	v := &view{Info: info, Selected: query.Get("method")}
	for span := callstats.Minute; span <= callstats.Day; span++ {
		if query.Get("window") == span.String() {
			v.Span = span
		}
	}
	return v
}

// Spans returns all spans.
func (v *view) Spans() []callstats.Span {
	return []callstats.Span{callstats.Minute, callstats.Hour, callstats.Day}
}

// In returns the numbers of the span that is shown.
func (v *view) In(r *Recent) *Window { return r.In(v.Span) }

// Link returns the address of the same page with another span or method.
func (v *view) Link(span callstats.Span, method string) string {
	query := url.Values{}
	if span != callstats.Minute {
		query.Set("window", span.String())
	}
	if method != "" {
		query.Set("method", method)
	}
	return "?" + query.Encode()
}

// Method returns the method that is selected, or nil.
func (v *view) Method() *Method {
	for _, s := range v.Services {
		for i := range s.Methods {
			if s.Name+"."+s.Methods[i].Name == v.Selected {
				return &s.Methods[i]
			}
		}
	}
	return nil
}

// Oldest returns the call that has been under way for longest, or nil.
func (v *view) Oldest() *Running {
	if len(v.Running) == 0 {
		return nil
	}
	return &v.Running[0]
}

// Slow returns the calls that have been under way for a second or longer.
func (v *view) Slow() (list []Running) {
	for _, r := range v.Running {
		if r.Seconds >= 1 {
			list = append(list, r)
		}
	}
	return list
}
