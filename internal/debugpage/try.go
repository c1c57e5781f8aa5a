package debugpage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"geerpc/internal/origin"
)

// Calls from the page: a form that the owner has to switch on. Pages of other origins must
// not be able to use it, so a browser's request has to come from this one.

// The limits of a call from the page.
const (
	tryTimeout  = 30 * time.Second
	maxTryBytes = 1 << 20 // of the arguments
)

// Types are the types of a method.
type Types struct{ Args, Reply, Example string }

// A Tried is a call from the page.
type Tried struct {
	Args    string  `json:"args"`
	Reply   string  `json:"reply"`
	Error   string  `json:"error"`
	Seconds float64 `json:"seconds"`
}

// try makes the call that a request asks for. A refusal has a status.
func (s Source) try(w http.ResponseWriter, req *http.Request) (tried *Tried, status int, err error) {
	if status, err = mayTry(req); err != nil {
		return nil, status, err
	}
	req.Body = http.MaxBytesReader(w, req.Body, maxTryBytes)
	if err := req.ParseForm(); err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return nil, http.StatusRequestEntityTooLarge, err
		}
		return nil, http.StatusBadRequest, err
	}
	tried = &Tried{Args: req.PostForm.Get("args")}
	if !json.Valid([]byte(tried.Args)) {
		tried.Error = "The arguments are not JSON."
		return tried, http.StatusOK, nil
	}
	ctx, cancel := context.WithTimeout(req.Context(), tryTimeout)
	defer cancel()
	begun := time.Now()
	reply, err := s.Call(ctx, req.URL.Query().Get("method"), json.RawMessage(tried.Args))
	tried.Seconds = time.Since(begun).Seconds()
	if err != nil {
		tried.Error = err.Error()
		return tried, http.StatusOK, nil
	}
	var indented bytes.Buffer
	json.Indent(&indented, reply, "", "  ") // the codec has seen that it is JSON
	tried.Reply = indented.String()
	return tried, http.StatusOK, nil
}

// mayTry says why a request must not make a call.
func mayTry(req *http.Request) (status int, err error) {
	if err := origin.Check(req); err != nil {
		return http.StatusForbidden, err
	}
	if t, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); t != "application/x-www-form-urlencoded" {
		return http.StatusUnsupportedMediaType, errors.New("want a form with args")
	}
	return http.StatusOK, nil
}
