// Package origin keeps the pages of others from using a server through the browser of
// somebody who may.
package origin

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Check returns why a request may come from a page of another origin, or nil. Such a
// request must be refused, with the status 403. GET, HEAD and OPTIONS pass, if the host
// is right, because they must change nothing in any case.
func Check(req *http.Request) error {
	if err := http.NewCrossOriginProtection().Check(req); err != nil {
		return err
	}
	if !isOwnName(req) {
		return fmt.Errorf("the host %.100q is not a name of this machine", req.Host)
	}
	return nil
}

// isOwnName reports whether a request over the loopback interface names it. Otherwise the
// name of somebody else's page may have been made to lead here (DNS rebinding).
func isOwnName(req *http.Request) bool {
	at, ok := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !at.IP.IsLoopback() {
		return true
	}
	host, _, err := net.SplitHostPort(req.Host)
	if err != nil {
		host = strings.Trim(req.Host, "[]")
	}
	return host == "localhost" || net.ParseIP(host) != nil
}
