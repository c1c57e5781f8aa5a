package page

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Serve answers a request in the form that it asks for: with object as JSON, or with view
// as one of the templates shows it. It is for pages that are alone at their address. It
// fails if a template does; the answer is 500 then.
func (p *Page) Serve(w http.ResponseWriter, req *http.Request, object, view func() any) error {
	p.SetHeader(w.Header())
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 must GET", http.StatusMethodNotAllowed)
		return nil
	}
	return p.Show(w, req, object, view)
}

// Show is Serve for requests of any method, whose headers have been set.
func (p *Page) Show(w http.ResponseWriter, req *http.Request, object, view func() any) error {
	query := req.URL.Query()
	switch format := Format(query, req.Header); format {
	case "json":
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(object()) // an error is one of the connection
		return nil
	case "text":
		return p.WriteText(w, view())
	case "html":
		return p.Write(w, query, view())
	case "events":
		return p.Stream(w, req, view)
	default:
		NoFormat(w, format, "html, text, json and events")
		return nil
	}
}

// NoFormat answers a request for a form that there is not.
func NoFormat(w http.ResponseWriter, format, others string) {
	http.Error(w, fmt.Sprintf("400 there is no format %.20q: %s are", format, others), http.StatusBadRequest)
}
