package registry

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"geerpc/internal/page"
)

const (
	defaultPath = "/_geerpc_/registry"

	serversHeader = "X-Geerpc-Servers"
	indexHeader   = "X-Geerpc-Index"

	// sendLimit is how long a watcher has to take the answer.
	sendLimit = 30 * time.Second
)

// DefaultGeeRegister is the registry that HandleHTTP puts at its place.
var DefaultGeeRegister = New(DefaultTimeout)

// HandleHTTP puts the DefaultGeeRegister at /_geerpc_/registry of
// http.DefaultServeMux. It is still necessary to call http.Serve.
func HandleHTTP() { DefaultGeeRegister.HandleHTTP(defaultPath) }

// HandleHTTP puts the registry at path of http.DefaultServeMux. Doing so twice
// does no harm. A path that somebody else has taken is left as it is, and that
// is logged to slog.Default; http.Handle puts the registry on any other mux.
func (r *GeeRegistry) HandleHTTP(path string) {
	mux := http.DefaultServeMux
	taken, pattern := mux.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	switch {
	case pattern != path:
		mux.Handle(path, r)
	case taken != http.Handler(r):
		slog.Error("rpc registry: HandleHTTP: the path is taken, and requests to it go elsewhere; put this registry on a mux of its own with mux.Handle(path, registry)", "path", path)
	}
}

// ServeHTTP answers GET and HEAD with the list, registers on POST and deregisters on
// DELETE; see the package comment. What is not as it should be is answered 400
// and not taken: an address that is missing, is not protocol@address, has a comma,
// a blank or a control character in it, or is longer than 255 bytes; an interval that is not a
// positive time.Duration; and whatever a ServerItem can't hold. Writing is refused
// with 403 to browsers, which say so in Origin or Sec-Fetch-Site: a page of a
// stranger may reach a registry that the stranger can't. A watch ends
// with its request's context too, so a program that shuts down its http.Server
// ends that server's BaseContext first.
func (r *GeeRegistry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	listPage.SetHeader(w.Header())
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
	case errFull, errLarge, errWatchers:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "10")
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
		addr := req.Header.Get(serverHeader)
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
		return errDeparted // nobody hears the answer: the sender has given up this beat
	}
	return r.put(item)
}

// authorized reports whether a request may write. How long it takes says
// nothing about the tokens.
func (r *GeeRegistry) authorized(header string) bool {
	var good []string
	if r.Token != "" {
		good = append(good, r.Token)
	}
	if r.Tokens != nil {
		good = append(good, r.Tokens()...)
	} else if len(good) == 0 {
		return true
	}
	scheme, token, _ := strings.Cut(header, " ")
	got, matches := sha256.Sum256([]byte(strings.TrimSpace(token))), 0
	for _, token := range good {
		want := sha256.Sum256([]byte(token))
		matches |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return matches == 1 && strings.EqualFold(scheme, "Bearer")
}

// show answers with the list, in the form for whoever asks: a program of ours,
// a browser, a person with curl, or a program of GeeRPC's first version.
func (r *GeeRegistry) show(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	html := page.Accepts(req.Header, "text/html")
	switch format := query.Get("format"); {
	case format == "json", format == "" && !html && page.Accepts(req.Header, "application/json"):
		r.showJSON(w, req, query)
	case format == "html", format == "" && html:
		r.showPage(w, query)
	default:
		addrs := r.tellable(true).addrs
		w.Header().Set(serversHeader, addrs)
		// GeeRPC's callers accept nothing in particular, and close no body: one
		// that is not empty would cost them a connection each.
		if format == "text" || page.Accepts(req.Header, "*/*") || page.Accepts(req.Header, "text/plain") {
			showText(w, addrs)
		}
	}
}

// showText answers with an address a line.
func showText(w http.ResponseWriter, addrs string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if addrs != "" {
		io.WriteString(w, strings.ReplaceAll(addrs, ",", "\n")+"\n")
	}
}

// showJSON answers with the list as JSON: at once, or when it is another one.
func (r *GeeRegistry) showJSON(w http.ResponseWriter, req *http.Request, query url.Values) {
	index, wait, err := parseWatch(query)
	if err == nil && wait > 0 {
		// The server's own limit, if it has one, is not meant for an answer
		// that waits. Where none can be set there is none.
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(min(wait, maxWait) + sendLimit))
		err = r.wait(req.Context(), index, wait)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	list := r.tellable(wait == 0)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(indexHeader, strconv.FormatUint(list.index, 10))
	w.Write(list.object)
}

// parseWatch returns what a watch knows already and how long it wants to wait;
// no time at all if the request is none.
func parseWatch(query url.Values) (index uint64, wait time.Duration, err error) {
	if !query.Has("index") {
		return 0, 0, nil
	}
	if index, err = strconv.ParseUint(query.Get("index"), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("rpc registry: index %.64q is not a number", query.Get("index"))
	}
	if text := query.Get("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return 0, 0, fmt.Errorf("rpc registry: wait %.64q is not a duration", text)
		}
	}
	return index, wait, nil
}
