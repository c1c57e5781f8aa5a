// Package page is what the pages for browsers have in common: one style, one script that
// keeps the page up to date, a content security policy that allows these and nothing
// else, and a way to tell a browser from a program.
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

// A Page is a template with a style and a script. It is safe for concurrent use.
type Page struct {
	template *template.Template
	policy   string
	streams  streams
}

// New returns the page of a template and of a style that is added to the
// common one. The template has the functions style, script, count and span, and those in
// funcs, which may be nil. New panics if html is no template.
func New(html, style string, funcs template.FuncMap) *Page {
	// What a browser sees of it, whatever line ends the checkout has: the hashes
	// in the policy depend on them.
	style, script := unixLines(commonStyle+style), unixLines(liveScript)
	return &Page{
		template: template.Must(template.New("page").Funcs(template.FuncMap{
			"style":  func() template.CSS { return template.CSS(style) },
			"script": func() template.JS { return template.JS(script) },
			"count":  FormatCount,
			"span":   FormatSpan,
		}).Funcs(funcs).Parse(html)),
		// Browsers apply this one style, run this one script, and load nothing
		// but what it asks this server for.
		policy: "default-src 'none'; style-src " + hashSource(style) + "; script-src " + hashSource(script) +
			"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

func unixLines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// hashSource is how a policy allows one style or script.
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
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

// Format returns the form in which a request wants the page: what ?format= says or, without
// it, html for browsers, events for a script of the page's, json for a program that asks
// for JSON, and text for curl.
func Format(query url.Values, header http.Header) string {
	switch format := query.Get("format"); {
	case format != "":
		return format
	case Accepts(header, "text/event-stream"):
		return "events"
	case Accepts(header, "text/html"):
		return "html"
	case Accepts(header, "application/json"):
		return "json"
	}
	return "text"
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
