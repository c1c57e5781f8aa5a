// Package page is what the pages for browsers have in common: one style, one script that
// keeps the page up to date, a content security policy that allows these and nothing
// else, and a way to tell a browser from a program.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the style
	"encoding/base64"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	texttemplate "text/template"
)

// maxRefresh limits how seldom a page may be asked to load itself again, in
// seconds.
const maxRefresh = 3600

//go:embed page.css
var commonStyle string

// parts are templates that those of a page may use.
//
//go:embed parts.html
var parts string

// A Source is what a page is made of.
type Source struct {
	HTML  string         // a template of html/template
	Text  string         // the same for a terminal, of text/template, with tabs between columns
	Style string         // added to the common one
	Funcs map[string]any // for both templates, besides those of all pages
}

// A Page is a template with a style and a script. It is safe for concurrent use.
type Page struct {
	template *template.Template
	text     *texttemplate.Template
	policy   string
	streams  streams
}

// New returns a page. Its HTML has the functions style and script, and both templates have
// those in formats. New panics if a template is none.
func New(s Source) *Page {
	// What a browser sees of it, whatever line ends the checkout has: the hashes
	// in the policy depend on them.
	style, script := unixLines(commonStyle+s.Style), unixLines(liveScript)
	return &Page{
		template: template.Must(template.New("page").Funcs(template.FuncMap{
			"style":  func() template.CSS { return template.CSS(style) },
			"script": func() template.JS { return template.JS(script) },
		}).Funcs(formats).Funcs(s.Funcs).Parse(strings.TrimSpace(parts) + s.HTML)),
		text: texttemplate.Must(texttemplate.New("page").Funcs(formats).Funcs(s.Funcs).Parse(s.Text)),
		// Browsers apply this one style, run this one script, and load nothing
		// but what it asks this server for.
		policy: "default-src 'none'; style-src " + hashSource(style) + "; script-src " + hashSource(script) +
			"; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
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
		return unshown(w, err)
	}
	if n, err := strconv.Atoi(query.Get("refresh")); err == nil && n > 0 && n <= maxRefresh {
		w.Header().Set("Refresh", strconv.Itoa(n))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(body.Bytes())
	return nil
}

// unshown answers a request whose page has a template that failed, and returns why.
func unshown(w http.ResponseWriter, err error) error {
	http.Error(w, "500 the page can't be shown", http.StatusInternalServerError)
	return err
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
