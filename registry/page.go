package registry

import (
	"cmp"
	_ "embed" // the page
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"geerpc/internal/page"
)

// The limits of the page. Each reader gets a page made for it alone.
const (
	maxPageRows  = 1000    // servers
	maxPageBytes = 1 << 20 // of the rows in JSON
	maxPages     = 8       // being sent
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	listPage = page.New(page.Source{HTML: pageHTML, Style: pageCSS, Funcs: map[string]any{
		"seconds": func(t time.Time) float64 { return max(0, time.Since(t).Seconds()) },
		"inGrace": func(s ServerItem) bool { return s.inGrace },
	}})
)

// A pageInfo is what the page shows.
type pageInfo struct {
	Total, Silent, Legacy int
	InGrace               int // of the silent
	Services              int // distinct names
	Watchers              int
	Rows                  []ServerItem
}

// Unlisted returns how many servers the page leaves out.
func (p pageInfo) Unlisted() int { return p.Total - len(p.Rows) }

func (r *GeeRegistry) showPage(w http.ResponseWriter, query url.Values) {
	defer r.pages.Add(-1)
	if r.pages.Add(1) > maxPages {
		refuse(w, errPages)
		return
	}
	if err := listPage.Write(w, query, r.pageInfo()); err != nil {
		r.report(slog.LevelError, "rpc registry: page", "err", err)
	}
}

func (r *GeeRegistry) pageInfo() pageInfo {
	r.mu.Lock()
	info := pageInfo{Watchers: r.watch.watchers}
	r.mu.Unlock()
	servers := r.Servers()
	info.Total = len(servers)
	services := make(map[string]bool)
	for _, s := range servers {
		info.Silent += count(s.Silent)
		info.InGrace += count(s.inGrace)
		info.Legacy += count(s.Legacy)
		for _, name := range s.Services {
			services[name] = true
		}
	}
	info.Services = len(services)
	// Silent servers first: people look for those.
	slices.SortStableFunc(servers, func(a, b ServerItem) int { return cmp.Compare(count(b.Silent), count(a.Silent)) })
	rows, bytes := 0, 0
	for rows < min(len(servers), maxPageRows) && bytes < maxPageBytes {
		bytes += servers[rows].jsonBytes
		rows++
	}
	info.Rows = servers[:rows]
	return info
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
