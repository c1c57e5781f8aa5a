package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"geerpc/internal/defaultmux"
	"geerpc/internal/registryapi"
	"geerpc/internal/token"
)

const (
	bodyLimit = 5 * time.Second // to receive the body of a request, which is ignored
)

// DefaultGeeRegister is the registry of HandleHTTP.
var DefaultGeeRegister = New(DefaultTimeout)

// HandleHTTP puts the DefaultGeeRegister at /_geerpc_/registry of
// http.DefaultServeMux. It is still necessary to call http.Serve.
func HandleHTTP() { DefaultGeeRegister.HandleHTTP(registryapi.DefaultPath) }

// HandleHTTP puts the registry at path of http.DefaultServeMux. Doing so twice
// does no harm. If the path is taken, or a pattern conflicts with it, the path stays
// as it is, and that is logged to slog.Default. On any other mux, use its Handle.
func (r *GeeRegistry) HandleHTTP(path string) {
	if err := defaultmux.Handle(path, r); err != nil {
		slog.Error("rpc registry: HandleHTTP: the path is taken, and requests to it go elsewhere; put this registry on a mux of its own with mux.Handle(path, registry)", "path", path, "err", err)
	}
}

// ServeHTTP answers GET and HEAD with the list, registers on POST and deregisters on
// DELETE; see the package comment. A request that can't be right is answered 400,
// and changes nothing: an address that is missing, is not protocol@address, contains
// a comma, a blank or a control character, or is longer than 255 bytes; an interval
// that is not a positive time.Duration; and whatever a ServerItem can't hold.
//
// Browsers, which send Origin or Sec-Fetch-Site, may not write, and get 403: a page
// of a stranger may reach a registry that the stranger can't.
//
// A watch ends with its request's context, with 503. So a program that shuts down
// its http.Server first cancels that server's BaseContext.
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
			if errors.Is(err, errToken) {
				r.report(slog.LevelWarn, "rpc registry: request refused", "peer", req.RemoteAddr, "method", req.Method,
					"addr", fmt.Sprintf("%.255s", req.Header.Get(registryapi.ServerHeader)), "err", err)
			}
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

// refuse answers a request with the status and the text of an error.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch err {
	case errToken:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="geerpc registry"`)
	case errBrowser:
		status = http.StatusForbidden
	case errDeregistered:
		status = http.StatusGone
	case errFull, errLarge, errWatchers, errPages:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "10")
	case errEnded:
		status = http.StatusServiceUnavailable
	}
	http.Error(w, fmt.Sprint(status, " ", err), status)
}

// change answers a POST or a DELETE.
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
		r.deregister(addr, name)
		return nil
	}
	item, err := parseItem(req.Header)
	if err != nil {
		return err
	}
	if req.Context().Err() != nil {
		return errEnded // the server gave up this heartbeat, or this registry is stopping
	}
	return r.register(item)
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
