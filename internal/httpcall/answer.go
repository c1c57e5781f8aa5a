package httpcall

import (
	"fmt"
	"net/http"
	"strconv"
)

// An Answer is what an HTTP request is answered with.
type Answer struct {
	Status   int
	Metadata map[string]string // becomes headers
	Body     []byte            // JSON, or nothing
}

// Empty is the answer to notifications. Its status is not 204: Python's clients, those that
// descend from xmlrpc, take that for an error and leave the connection unusable.
var Empty = &Answer{Status: http.StatusOK}

// Text returns the answer, without metadata, as it is sent on a connection that is closed
// behind it.
func (a *Answer) Text() string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nConnection: close\r\n\r\n%s",
		a.Status, http.StatusText(a.Status), jsonType, a.Body)
}

// Write answers the request, and returns when the answer has been sent or can't be.
func (a *Answer) Write(w http.ResponseWriter) {
	header := w.Header()
	for key, value := range a.Metadata {
		header.Set(metadataPrefix+key, value)
	}
	header.Set("Content-Length", strconv.Itoa(len(a.Body)))
	if len(a.Body) > 0 {
		header.Set("Content-Type", jsonType)
		header.Set("X-Content-Type-Options", "nosniff")
	}
	w.WriteHeader(a.Status)
	w.Write(a.Body)
	http.NewResponseController(w).Flush()
}
