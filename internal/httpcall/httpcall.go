// Package httpcall turns HTTP requests into calls, and their replies into answers:
//
//	POST /Service/Method   a call; the body is its argument, as JSON
//	POST /                 JSON-RPC; the body is a request, or a batch of them
//
//	http.Request ──Rules.Read──→ Exchange ──codec──→ the core
//	                  │ refused                         │ reply
//	                  └→ Refusal.Write              Answer.Write
//
// To the core an Exchange is a connection that carries one message, or one batch. So a
// call over HTTP passes all that other calls pass.
package httpcall

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"geerpc/internal/codes"
)

// Rules are what a server asks of requests.
type Rules struct {
	Token    string // empty: none is wanted
	MaxBytes int    // in a body; 0: no limit
}

// Read checks a request and reads its body, or returns why it is refused. Nothing is read
// of the body of a request that can be refused without it.
func (r Rules) Read(w http.ResponseWriter, req *http.Request) (*Exchange, *Refusal) {
	if len(req.TransferEncoding) > 0 {
		// There may have been a length, too, which a proxy went by, and which net/http has
		// dropped. Then the proxy takes for a part of this body what we would take for
		// another request.
		w.Header().Set("Connection", "close")
	}
	x := newExchange(req)
	if refusal := r.check(req, x.method == ""); refusal != nil {
		return nil, refusal
	}
	var err error
	if x.timeout, err = timeoutOf(req.Header); err != nil {
		return nil, &Refusal{http.StatusBadRequest, codes.InvalidArgument, err.Error()}
	}
	x.metadata = metadataOf(req.Header)
	if x.body, err = r.readBody(w, req); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, r.tooLarge()
		}
		return nil, &Refusal{http.StatusBadRequest, codes.InvalidArgument, fmt.Sprintf("reading the body: %.256s", err)}
	}
	return x, nil
}

// readBody reads the whole body, or up to the limit.
func (r Rules) readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	body := req.Body
	if r.MaxBytes > 0 {
		body = http.MaxBytesReader(w, body, int64(r.MaxBytes))
	}
	return io.ReadAll(body)
}
