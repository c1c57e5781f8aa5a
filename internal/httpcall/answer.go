package httpcall

import (
	"net/http"
	"strconv"
	"time"
)

// An Answer is what an HTTP request is answered with.
type Answer struct {
	Status   int
	Metadata map[string]string // becomes headers
	Body     []byte            // JSON; none with http.StatusNoContent
}

// pieceBytes are how much of an answer the client has to take in the time it is given.
const pieceBytes = 64 << 10

// Write answers the request. It returns when all has been sent, or when the client has taken
// nothing for as long as limit says. Zero is no limit. (For the next request net/http sets
// the deadline anew.)
func (a *Answer) Write(w http.ResponseWriter, limit time.Duration) error {
	header := w.Header()
	for key, value := range a.Metadata {
		header.Set(metadataPrefix+key, value)
	}
	if a.Status != http.StatusNoContent {
		header.Set("Content-Type", jsonType)
		header.Set("Content-Length", strconv.Itoa(len(a.Body)))
		header.Set("X-Content-Type-Options", "nosniff")
	}
	control := http.NewResponseController(w)
	w.WriteHeader(a.Status)
	for body := a.Body; ; {
		if limit > 0 {
			control.SetWriteDeadline(time.Now().Add(limit)) // not every ResponseWriter can; then net/http's limits count
		}
		n := min(len(body), pieceBytes)
		if _, err := w.Write(body[:n]); err != nil {
			return err
		}
		if body = body[n:]; len(body) == 0 {
			return control.Flush()
		}
	}
}
