package httpcall

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"geerpc/internal/codes"
	"geerpc/internal/origin"
	"geerpc/internal/token"
)

// How to call, for those who did it wrong.
const (
	curlLine = `curl --json '{"A":1,"B":2}' http://host:port/Service/Method`
	wantJSON = "send JSON, as curl --json does, or curl -H 'Content-Type: application/json'"
)

// The content types of JSON, and the other ones that JSON-RPC may have.
const jsonType = "application/json"

var jsonRPCTypes = []string{jsonType, "application/json-rpc", "application/jsonrequest"}

// check says why a request is refused, by its headers alone, or returns nil. Who may not
// call learns nothing of what is wrong with the call.
func (r Rules) check(req *http.Request, isJSONRPC bool) *Refusal {
	if req.Method != http.MethodPost {
		return &Refusal{http.StatusMethodNotAllowed, codes.Unimplemented, "calls are made with POST: " + curlLine}
	}
	if err := origin.Check(req); err != nil {
		return &Refusal{http.StatusForbidden, codes.PermissionDenied, err.Error()}
	}
	if r.Token != "" && !token.Equal(bearer(req.Header), r.Token) {
		return &Refusal{http.StatusUnauthorized, codes.Unauthenticated, "the token is missing or wrong: send it as Authorization: Bearer"}
	}
	if r.Off != "" {
		return &Refusal{http.StatusNotImplemented, codes.Unimplemented, r.Off}
	}
	if isJSONRPC && !r.JSONRPC {
		return &Refusal{http.StatusNotFound, codes.NotFound, "this server takes no JSON-RPC: " + curlLine}
	}
	if refusal := checkType(req.Header, isJSONRPC); refusal != nil {
		return refusal
	}
	if n := req.ContentLength; r.MaxBytes > 0 && n > int64(r.MaxBytes) {
		return r.tooLarge()
	}
	return nil
}

// checkType wants JSON. A page of another origin can have a form sent without the
// browser asking, or a body of no type, but not this.
func checkType(header http.Header, isJSONRPC bool) *Refusal {
	unsupported := func(format string, a ...any) *Refusal {
		return &Refusal{http.StatusUnsupportedMediaType, codes.InvalidArgument, fmt.Sprintf(format, a...)}
	}
	contentType := header.Get("Content-Type")
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch {
	case contentType == "":
		return unsupported("there is no content type: %s", wantJSON)
	case mediaType == jsonType, isJSONRPC && slices.Contains(jsonRPCTypes, mediaType):
	default:
		return unsupported("the content type %.64q is not taken: %s", contentType, wantJSON)
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unsupported("the content encoding %.64q is not taken: send JSON as it is", encoding)
	}
	return nil
}

// bearer returns the token that a request presents.
func bearer(header http.Header) string {
	scheme, presented, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(presented)
}

func (r Rules) tooLarge() *Refusal {
	return &Refusal{http.StatusRequestEntityTooLarge, codes.ResourceExhausted,
		fmt.Sprintf("the body is over the %d bytes that Server.MaxMessageBytes allows", r.MaxBytes)}
}
