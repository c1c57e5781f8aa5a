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
)

// Rules are what a server asks of requests.
type Rules struct {
	Token    string // empty: none is wanted
	MaxBytes int    // in a body; 0: no limit
	Off      string // why no request is taken; empty: they are
	JSONRPC  bool   // is taken
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
	x := &Exchange{method: methodOf(req.URL.Path), peer: peerOf(req), tls: req.TLS, maxBytes: r.MaxBytes, done: make(chan struct{})}
	if refusal := r.check(req, x.isJSONRPC()); refusal != nil {
		return nil, refusal
	}
	var err error
	if x.timeout, err = timeoutOf(req.Header); err != nil {
		return nil, badRequest(err.Error())
	}
	x.metadata = metadataOf(req.Header)
	var refusal *Refusal
	if x.body, refusal = r.readBody(w, req); refusal == nil && x.isJSONRPC() {
		refusal = checkAlone(x.body)
	}
	if refusal != nil {
		return nil, refusal
	}
	return x, nil
}

// readBody reads the whole body, unless it is over the limit.
func (r Rules) readBody(w http.ResponseWriter, req *http.Request) ([]byte, *Refusal) {
	in := req.Body
	if r.MaxBytes > 0 {
		in = http.MaxBytesReader(w, in, int64(r.MaxBytes))
	}
	body, err := io.ReadAll(in)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, r.tooLarge()
	case err != nil:
		return nil, badRequest(fmt.Sprintf("reading the body: %.256s", err))
	}
	return body, nil
}
