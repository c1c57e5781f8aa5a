package httpcall

import (
	"net/http"

	"geerpc/internal/codes"
)

// A Refusal is why a request is answered without a call.
type Refusal struct {
	Status  int
	Code    uint8
	Message string
}

func badRequest(text string) *Refusal {
	return &Refusal{http.StatusBadRequest, codes.InvalidArgument, text}
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message }

// Write answers the request.
func (r *Refusal) Write(w http.ResponseWriter) {
	switch r.Status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", "POST, CONNECT")
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	answer := Failure(r.Code, codes.InServer, codes.RanNever, r.Message)
	answer.Status = r.Status
	answer.Write(w)
}
