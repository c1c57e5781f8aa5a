package debugpage

import (
	"bytes"
	_ "embed" // the template
	"net/http"
	"strings"
	"text/tabwriter"
	"text/template"

	"geerpc/internal/page"
)

//go:embed page.txt
var textSource string

var textPage = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": page.FormatCount, "span": page.FormatSpan, "latency": formatLatency, "rate": formatRate, "bytes": formatBytes,
	"ago": formatAgo, "percent": formatPercent, "line": oneLine,
}).Parse(textSource))

// writeText answers a request with the page as text, in columns.
func writeText(w http.ResponseWriter, v *view) error {
	var body bytes.Buffer
	columns := tabwriter.NewWriter(&body, 0, 0, 2, ' ', 0)
	if err := textPage.Execute(columns, v); err != nil {
		http.Error(w, "500 the page can't be shown", http.StatusInternalServerError)
		return err
	}
	columns.Flush()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(body.Bytes())
	return nil
}

// oneLine returns a text without what would move a terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}
