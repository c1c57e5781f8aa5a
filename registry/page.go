package registry

import (
	_ "embed" // the page
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"geerpc/internal/page"
)

// The limits of the page. Each reader gets a page made for it alone.
const (
	maxPageRows     = 200 // servers on one page; links lead to the others
	maxPageServices = 100 // services that are listed
	maxPages        = 8   // being sent; streams have a limit of their own
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.txt
	pageText string
	//go:embed page.css
	pageCSS string

	listPage = page.New(page.Source{HTML: pageHTML, Text: pageText, Style: pageCSS})
)

// A pageView is the list of servers as a request wants to see it.
type pageView struct {
	page.Process
	*summary
	Uptime float64 // seconds

	Service           string // that the servers offer; "" for all servers
	Sort              string // one of orders
	Matching, Unsaid  int    // servers that are shown, on all pages, and how many of them don't say what they offer
	Weight            int64  // the sum of theirs
	First, Last, Next int    // row on this page, the last one, and the first on the next page; 0: there is none
	Rows              []row
}

// showPage answers with the page: as HTML, or with columns as text.
func (r *GeeRegistry) showPage(w http.ResponseWriter, query url.Values, columns bool) {
	defer r.pages.Add(-1)
	if r.pages.Add(1) > maxPages {
		refuse(w, errPages)
		return
	}
	view := newPageView(query, r.newSummary())
	if columns {
		r.reportPage(listPage.WriteText(w, view))
	} else {
		r.reportPage(listPage.Write(w, query, view))
	}
}

// streamPage answers with the page as a stream of events.
func (r *GeeRegistry) streamPage(w http.ResponseWriter, req *http.Request, query url.Values) {
	r.reportPage(listPage.Stream(w, req, func() any { return newPageView(query, r.sharedSummary()) }))
}

// reportPage logs why the page could not be shown, if it could not.
func (r *GeeRegistry) reportPage(err error) {
	if err != nil {
		r.report(slog.LevelError, "rpc registry: page", "err", err)
	}
}

func newPageView(query url.Values, s *summary) *pageView {
	v := &pageView{Process: page.Self(), summary: s, Uptime: page.Uptime().Seconds(), Service: query.Get("service"), Sort: query.Get("sort")}
	// Both are in many links: a long query must not make the page much longer.
	v.Service = v.Service[:min(len(v.Service), maxServicesBytes)]
	if !slices.ContainsFunc(orders, func(o order) bool { return o.Key == v.Sort }) {
		v.Sort = ""
	}
	rows := s.offering(v.Service)
	v.Matching = len(rows)
	for _, r := range rows {
		v.Weight += int64(r.Weight)
		v.Unsaid += count(len(r.Services) == 0)
	}
	sortRows(rows, v.Sort)
	from, _ := strconv.Atoi(query.Get("from")) // without a number, the first page
	from = min(max(from, 0), len(rows))
	to := min(from+maxPageRows, len(rows))
	v.First, v.Last, v.Rows = from+1, to, rows[from:to]
	if to < len(rows) {
		v.Next = to
	}
	return v
}

// Orders returns the orders of the servers that there are.
func (v *pageView) Orders() []order { return orders }

// Link returns the address of the page with other servers, or in another order.
func (v *pageView) Link(service, sort string, from int) string {
	query := url.Values{}
	if service != "" {
		query.Set("service", service)
	}
	if sort != "" {
		query.Set("sort", sort)
	}
	if from > 0 {
		query.Set("from", strconv.Itoa(from))
	}
	return "?" + query.Encode()
}

// Share returns the server's share of the weight of those that match.
func (v *pageView) Share(r row) float64 { return float64(r.Weight) / float64(max(v.Weight, 1)) }

// IsNew reports whether the process has not run for long: servers that have sent no
// heartbeat since are missing.
func (v *pageView) IsNew() bool { return v.Uptime < time.Minute.Seconds() }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
