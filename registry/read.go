package registry

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"geerpc/internal/backoff"
	"geerpc/internal/page"
	"geerpc/internal/registryapi"
)

const (
	// sendLimit limits the time for sending an answer, unless the http.Server sets a
	// shorter limit.
	sendLimit = 30 * time.Second

	textPartBytes = 16 << 10 // of a list as text, written at a time
)

// show answers a GET in the form that fits the reader: geerpc, a browser, curl, or
// GeeRPC's original version.
func (r *GeeRegistry) show(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	limitWriting(w, req, 0)
	switch format := page.Format(query, req.Header); format {
	case "json":
		r.showJSON(w, req, query)
	case "html", "table":
		r.showPage(w, query, format == "table")
	case "events":
		r.streamPage(w, req, query)
	case "text":
		// GeeRPC's callers send no Accept, and close no body: one that is not empty
		// would leak their connection.
		if query.Has("format") || page.Accepts(req.Header, "*/*") || page.Accepts(req.Header, "text/plain") {
			r.showText(w)
		} else {
			r.showHeader(w)
		}
	default:
		page.NoFormat(w, format, "html, table, text, json and events")
	}
}

// limitWriting limits the time for sending the answer, which may come after a wait.
// A shorter limit of the http.Server stays in force, except for a wait, which it
// doesn't allow for. A ResponseWriter without deadlines has no limit.
func limitWriting(w http.ResponseWriter, req *http.Request, wait time.Duration) {
	server, _ := req.Context().Value(http.ServerContextKey).(*http.Server)
	if wait > 0 || server == nil || server.WriteTimeout <= 0 || server.WriteTimeout > sendLimit {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + sendLimit))
	}
}

// showHeader answers as GeeRPC's registry does. It flushes, because the list may be
// released only when it has been sent.
func (r *GeeRegistry) showHeader(w http.ResponseWriter) {
	reader := http.NewResponseController(w)
	list := r.acquireList(reader, false)
	defer r.answers.release(reader, list)
	w.Header().Set(registryapi.ServersHeader, list.addrs)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	reader.Flush()
}

// showText answers with one address a line.
func (r *GeeRegistry) showText(w http.ResponseWriter) {
	reader := http.NewResponseController(w)
	list := r.acquireList(reader, false)
	defer r.answers.release(reader, list)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if list.addrs == "" {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(list.addrs)+len("\n")))
	for rest := list.addrs; ; { // in parts: a copy of all would stay in memory while the reader is slow
		part := rest[:min(len(rest), textPartBytes)]
		if _, err := io.WriteString(w, strings.ReplaceAll(part, ",", "\n")); err != nil {
			return
		}
		if rest = rest[len(part):]; rest == "" {
			break
		}
	}
	io.WriteString(w, "\n")
}

// showJSON answers with the list in JSON, or with what has changed: at once, or, to
// a watch, after a change.
func (r *GeeRegistry) showJSON(w http.ResponseWriter, req *http.Request, query url.Values) {
	watch, err := registryapi.ParseWatch(query)
	if err != nil {
		refuse(w, registryError(err))
		return
	}
	index, wait := watch.Index, min(watch.Wait, maxWait)
	begin := time.Now()
	if wait > 0 {
		limitWriting(w, req, wait)
		err = r.wait(req.Context(), index, wait)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if watch.Changes {
		if text, to := r.changes(index); text != nil {
			showObject(w, text, to)
			return
		}
	}
	reader := http.NewResponseController(w)
	list := r.acquireList(reader, wait == 0)
	if now := r.index(); wait > 0 && list.index <= index && index <= now && list.index < now { // an old list is still in use, see acquireList
		r.answers.release(reader, list)
		backoff.Sleep(req.Context(), min(minAnswerTime-time.Since(list.made), wait-time.Since(begin)))
		list = r.acquireList(reader, false)
	}
	defer r.answers.release(reader, list)
	showObject(w, list.object, list.index)
}

func showObject(w http.ResponseWriter, text []byte, index uint64) {
	w.Header().Set(registryapi.IndexHeader, strconv.FormatUint(index, 10))
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text)
}
