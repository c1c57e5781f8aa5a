package httpcall

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// methodOf returns the method that a path asks for, as Service.Method. It is empty if the
// path is one for JSON-RPC: the root, or a name without a dot.
func methodOf(path string) string {
	path = strings.Trim(path, "/")
	i := strings.LastIndexAny(path, "/.")
	if i < 0 {
		return ""
	}
	return path[:i] + "." + path[i+1:]
}

// The headers of a call.
const (
	timeoutHeader  = "Connect-Timeout-Ms" // of the Connect protocol
	metadataPrefix = "Metadata-"          // of ours; what follows is the key
)

// carried are the headers that are metadata under their own names. They have the trace.
var carried = []string{"traceparent", "tracestate", "baggage"}

const maxTimeoutDigits = 10

// timeoutOf returns the nanoseconds that the caller waits, 0 if that is for ever.
func timeoutOf(header http.Header) (int64, error) {
	values := header.Values(timeoutHeader)
	if len(values) == 0 {
		return 0, nil
	}
	ms, err := strconv.ParseUint(values[0], 10, 64)
	if err != nil || len(values[0]) > maxTimeoutDigits {
		return 0, fmt.Errorf("%s is %.32q: want milliseconds, %d digits at most", timeoutHeader, values[0], maxTimeoutDigits)
	}
	return max(int64(ms)*int64(time.Millisecond), 1), nil // with 0 ms left the time is up
}

// metadataOf returns the metadata of a call, nil if there is none. Keys are in lower case.
func metadataOf(header http.Header) map[string]string {
	var md map[string]string
	add := func(key string, values []string) {
		if md == nil {
			md = make(map[string]string)
		}
		md[key] = strings.Join(values, ",")
	}
	for name, values := range header {
		if key, ok := strings.CutPrefix(name, metadataPrefix); ok {
			add(strings.ToLower(key), values)
		}
	}
	for _, name := range carried {
		if values := header.Values(name); len(values) > 0 {
			add(name, values)
		}
	}
	return md
}
