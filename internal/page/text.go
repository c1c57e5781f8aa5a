package page

import (
	"bytes"
	"net/http"
	"text/tabwriter"
)

// WriteText answers a request with the page as text, in columns. If the template fails,
// which is the error, the answer is 500.
func (p *Page) WriteText(w http.ResponseWriter, data any) error {
	var body bytes.Buffer
	columns := tabwriter.NewWriter(&body, 0, 0, 2, ' ', 0)
	if err := p.text.Execute(columns, data); err != nil {
		return unshown(w, err)
	}
	columns.Flush()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(body.Bytes())
	return nil
}
