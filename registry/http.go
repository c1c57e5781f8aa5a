package registry

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"geerpc/internal/backoff"
	"geerpc/internal/defaultmux"
	"geerpc/internal/page"
	"geerpc/internal/registryapi"
	"geerpc/internal/token"
)

const (
	// A reader has so long to take the answer, unless its http.Server sets a
	// shorter limit, and the body of a request, which nobody needs, has so long
	// to come.
	sendLimit = 30 * time.Second
	bodyLimit = 5 * time.Second

	textPart = 16 << 10 // of a list as text, to be written at a time
)

// DefaultGeeRegister is the registry that HandleHTTP puts at its place.
var DefaultGeeRegister = New(DefaultTimeout)

// HandleHTTP puts the DefaultGeeRegister at /_geerpc_/registry of
// http.DefaultServeMux. It is still necessary to call http.Serve.
func HandleHTTP() { DefaultGeeRegister.HandleHTTP(registryapi.DefaultPath) }

// HandleHTTP puts the registry at path of http.DefaultServeMux. Doing so twice
// does no harm. A path that somebody else has taken is left as it is, and that
// is logged to slog.Default; http.Handle puts the registry on any other mux.
func (r *GeeRegistry) HandleHTTP(path string) {
	if err := defaultmux.Handle(path, r); err != nil {
		slog.Error("rpc registry: HandleHTTP: the path is taken, and requests to it go elsewhere; put this registry on a mux of its own with mux.Handle(path, registry)", "path", path, "err", err)
	}
}

// ServeHTTP answers GET and HEAD with the list, registers on POST and deregisters on
// DELETE; see the package comment. What is not as it should be is answered 400
// and not taken: an address that is missing, is not protocol@address, has a comma,
// a blank or a control character in it, or is longer than 255 bytes; an interval that is not a
// positive time.Duration; and whatever a ServerItem can't hold. Writing is refused
// with 403 to browsers, which say so in Origin or Sec-Fetch-Site: a page of a
// stranger may reach a registry that the stranger can't. A watch ends
// with its request's context too, with 503, so a program that shuts down its
// http.Server ends that server's BaseContext first.
func (r *GeeRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	listPage.SetHeader(w.Header())
	if req.ContentLength != 0 {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLimit))
	}
	switch req.Method {
	case http.MethodGet, http.MethodHead:
		r.show(w, req)
	case http.MethodPost, http.MethodDelete:
		if err := r.change(req); err != nil {
			refuse(w, err)
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		http.Error(w, "405 must GET, HEAD, POST or DELETE", http.StatusMethodNotAllowed)
	}
}

var (
	errToken   = errors.New("rpc registry: wrong or missing token")
	errBrowser = errors.New("rpc registry: browsers may read, and not write")
)

// refuse answers a request that failed.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch err {
	case errToken:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="geerpc registry"`)
	case errBrowser:
		status = http.StatusForbidden
	case errDeparted:
		status = http.StatusGone
	case errFull, errLarge, errWatchers, errPages:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "10")
	case errEnded:
		status = http.StatusServiceUnavailable
	}
	http.Error(w, fmt.Sprint(status, " ", err), status)
}

// change registers or deregisters a server.
func (r *GeeRegistry) change(req *http.Request) error {
	if req.Header.Get("Origin") != "" || req.Header.Get("Sec-Fetch-Site") != "" {
		return errBrowser
	}
	if !r.authorized(req.Header.Get("Authorization")) {
		return errToken
	}
	if req.Method == http.MethodDelete {
		addr := req.Header.Get(registryapi.ServerHeader)
		if err := checkAddress(addr); err != nil {
			return err
		}
		name, err := parseInstance(req.Header)
		if err != nil {
			return err
		}
		r.remove(addr, name)
		return nil
	}
	item, err := parseItem(req.Header)
	if err != nil {
		return err
	}
	if req.Context().Err() != nil {
		return errEnded // the sender has given up this beat, or this registry stops
	}
	return r.put(item)
}

// authorized reports whether a request may write. It compares all tokens, so
// that how long it takes says nothing about them.
func (r *GeeRegistry) authorized(header string) bool {
	var tokens []string
	if r.Token != "" {
		tokens = append(tokens, r.Token)
	}
	if r.Tokens != nil {
		tokens = append(tokens, r.Tokens()...)
	} else if len(tokens) == 0 {
		return true
	}
	scheme, got, _ := strings.Cut(header, " ")
	got = strings.TrimSpace(got)
	matches := false
	for _, want := range tokens {
		if want != "" { // an empty one would let everybody write
			matches = token.Equal(got, want) || matches
		}
	}
	return matches && strings.EqualFold(scheme, "Bearer")
}

// show answers with the list, in the form for whoever asks: a program of ours,
// a browser, a person with curl, or a program of GeeRPC's first version.
func (r *GeeRegistry) show(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	html := page.Accepts(req.Header, "text/html")
	limitWriting(w, req, 0)
	switch format := query.Get("format"); {
	case format == "json", format == "" && !html && page.Accepts(req.Header, "application/json"):
		r.showJSON(w, req, query)
	case format == "html", format == "" && html:
		r.showPage(w, query)
	// GeeRPC's callers accept nothing in particular, and close no body: one
	// that is not empty would cost them a connection each.
	case format == "text" || page.Accepts(req.Header, "*/*") || page.Accepts(req.Header, "text/plain"):
		r.showText(w)
	default:
		r.showHeader(w)
	}
}

// limitWriting limits the time for the answer, which may come after a wait. The
// http.Server's own limit counts if it is shorter, but not for a wait, for which
// it is not meant. Where none can be set there is none.
func limitWriting(w http.ResponseWriter, req *http.Request, wait time.Duration) {
	server, _ := req.Context().Value(http.ServerContextKey).(*http.Server)
	if wait > 0 || server == nil || server.WriteTimeout <= 0 || server.WriteTimeout > sendLimit {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + sendLimit))
	}
}

// showHeader answers as GeeRPC's registry does. The header leaves before the list
// is given back.
func (r *GeeRegistry) showHeader(w http.ResponseWriter) {
	reader := http.NewResponseController(w)
	list := r.take(reader, false)
	defer r.answers.leave(reader, list)
	w.Header().Set(registryapi.ServersHeader, list.addrs)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	reader.Flush()
}

// showText answers with an address a line.
func (r *GeeRegistry) showText(w http.ResponseWriter) {
	reader := http.NewResponseController(w)
	list := r.take(reader, false)
	defer r.answers.leave(reader, list)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if list.addrs == "" {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(list.addrs)+len("\n")))
	for rest := list.addrs; ; { // a second copy would stay as long as nobody reads it
		part := rest[:min(len(rest), textPart)]
		if _, err := io.WriteString(w, strings.ReplaceAll(part, ",", "\n")); err != nil {
			return
		}
		if rest = rest[len(part):]; rest == "" {
			break
		}
	}
	io.WriteString(w, "\n")
}

// showJSON answers with the list as JSON, or with what has changed: at once, or
// when it is another one.
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
	list := r.take(reader, wait == 0)
	if now := r.index(); wait > 0 && list.index <= index && index <= now && list.index < now { // it is told for a while, see take
		r.answers.leave(reader, list)
		backoff.Sleep(req.Context(), min(minAnswerTime-time.Since(list.made), wait-time.Since(begin)))
		list = r.take(reader, false)
	}
	defer r.answers.leave(reader, list)
	showObject(w, list.object, list.index)
}

func showObject(w http.ResponseWriter, text []byte, index uint64) {
	w.Header().Set(registryapi.IndexHeader, strconv.FormatUint(index, 10))
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text)
}
