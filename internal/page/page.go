// Package page is what the pages for browsers have in common: one style, a
// content security policy that allows that style and nothing else, and a way to
// tell a browser from a program.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxRefresh limits how seldom a page may be asked to load itself again, in
// seconds.
const maxRefresh = 3600

//go:embed page.css
var commonStyle string

// A Page is a template with a style. It is safe for concurrent use.
type Page struct {
	template *template.Template
	policy   string
}

// New returns the page of a template and of a style that is added to the
// common one. The template has the functions style, count and span, and those in
// funcs, which may be nil. New panics if html is no template.
func New(html, style string, funcs template.FuncMap) *Page {
	// What a browser sees of it, whatever line ends the checkout has: the hash
	// in the policy depends on them.
	style = strings.ReplaceAll(commonStyle+style, "\r\n", "\n")
	sum := sha256.Sum256([]byte(style))
	return &Page{
		template: template.Must(template.New("page").Funcs(template.FuncMap{
			"style": func() template.CSS { return template.CSS(style) },
			"count": FormatCount,
			"span":  FormatSpan,
		}).Funcs(funcs).Parse(html)),
		// Browsers apply this one style, and load or run nothing.
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

// SetHeader sets the headers of every answer at the page's address, whatever
// its form: what it shows is not to be stored, or taken for anything else.
func (p *Page) SetHeader(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", p.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept")
}

// Write answers a request with the page. With ?refresh=5 it loads itself again
// every five seconds (1 to 3600). If the template fails, which is the error,
// the answer is 500.
func (p *Page) Write(w http.ResponseWriter, query url.Values, data any) error {
	var body bytes.Buffer
	if err := p.template.Execute(&body, data); err != nil {
		http.Error(w, "500 the page can't be shown", http.StatusInternalServerError)
		return err
	}
	if n, err := strconv.Atoi(query.Get("refresh")); err == nil && n > 0 && n <= maxRefresh {
		w.Header().Set("Refresh", strconv.Itoa(n))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(body.Bytes())
	return nil
}

// Accepts reports whether a request names a media type as one that it accepts.
// A browser names text/html.
func Accepts(header http.Header, mediaType string) bool {
	for accepted := range strings.SplitSeq(strings.Join(header.Values("Accept"), ","), ",") {
		if t, _, _ := mime.ParseMediaType(accepted); t == mediaType {
			return true
		}
	}
	return false
}

// FormatCount writes an integer, of any type, with its thousands apart:
// 1,234,567.
func FormatCount(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// FormatSpan writes a time in the two units that matter: 3 d 4 h.
func FormatSpan(seconds float64) string {
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
