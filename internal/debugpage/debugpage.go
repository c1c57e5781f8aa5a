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
	"context"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"geerpc/internal/callstats"
	"geerpc/internal/introspect"
	"geerpc/internal/page"
)

// A Source is the server that the page is of.
type Source struct {
	Info func() *Info

	// Describe returns the types of a method, false if there is none of that name.
	Describe func(serviceMethod string) (Types, bool)

	// Call calls a method. Nil: nothing can be called from the page.
	Call func(ctx context.Context, serviceMethod string, args json.RawMessage) (reply json.RawMessage, err error)
}

// Serve answers a request. It fails if a template does; the answer is 500 then.
func Serve(w http.ResponseWriter, req *http.Request, s Source) error {
	object := func() any { return s.Info() }
	query := req.URL.Query()
	if req.Method != http.MethodPost || s.Call == nil {
		return debugPage.Serve(w, req, object, func() any { return s.view(query, nil) })
	}
	debugPage.SetHeader(w.Header())
	tried, status, err := s.try(w, req)
	if err != nil {
		http.Error(w, fmt.Sprint(status, " ", err), status)
		return nil
	}
	object = func() any { return tried }
	return debugPage.Show(w, req, object, func() any { return s.view(query, tried) })
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
	Types    Types  // of the method that is selected
	CanCall  bool
	Tried    *Tried // nil: nothing has been called
}

func (s Source) view(query url.Values, tried *Tried) *view {
	v := &view{Info: s.Info(), Selected: query.Get("method"), CanCall: s.Call != nil, Tried: tried}
	v.Types, _ = s.Describe(v.Selected)
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

// FullName returns the name by which a method is called.
func (v *view) FullName(service, method string) string { return introspect.FullName(service, method) }

// Method returns the method that is selected, or nil.
func (v *view) Method() *Method {
	for _, s := range v.Services {
		for i := range s.Methods {
			if introspect.FullName(s.Name, s.Methods[i].Name) == v.Selected {
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

// A connEvent is an event of a connection.
type connEvent struct {
	Event
	Peer string
}

// Events returns the events of all connections.
func (v *view) Events() (list []connEvent) {
	for _, c := range v.Connections.List {
		for _, e := range c.Events {
			list = append(list, connEvent{e, c.Peer})
		}
	}
	return list
}
