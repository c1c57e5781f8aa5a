package httpcall

import (
	"encoding/json"
	"net/http"

	"geerpc/internal/codes"
)

// statusCanceled is what a request is answered with that the client has cancelled, as in
// nginx. Nobody may be there to read it.
const statusCanceled = 499

// statuses are those of the Connect protocol (https://connectrpc.com/docs/protocol). A code
// that is not among them is of our making, or a fault of the server.
var statuses = map[uint8]int{
	codes.Canceled:           statusCanceled,
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.Aborted:            http.StatusConflict,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Unavailable:        http.StatusServiceUnavailable,
	codes.Unauthenticated:    http.StatusUnauthorized,
}

// statusOf returns the status of an answer that is an error.
func statusOf(code uint8) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// An errorBody is the body of an answer that is an error.
type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Where   string `json:"where"`
	Ran     string `json:"ran"`
}

// Failure returns the answer for an error, with the numbers of package geerpc.
func Failure(code, where, ran uint8, message string) *Answer {
	d := codes.DetailOf(code, where, ran)
	body, _ := json.Marshal(errorBody{d.Code, message, d.Where, d.Ran}) // strings: it can't fail
	return &Answer{Status: statusOf(code), Body: append(body, '\n')}
}
