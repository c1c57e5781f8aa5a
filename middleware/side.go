package middleware

import "geerpc"

// A side is the end of a connection that a call is seen from.
type side uint8

const (
	clientSide side = iota
	serverSide
)

// logText is the message of a call's line in a log.
func (s side) logText() string {
	if s == serverSide {
		return "rpc server: call"
	}
	return "rpc client: call"
}

// errNotReturned stands for the error of a call that panics, or ends its
// goroutine, on its way through the interceptors.
var errNotReturned error = &geerpc.Error{Code: geerpc.CodeInternal, Where: geerpc.InClient, Ran: geerpc.RanMaybe,
	Message: "rpc: the call panicked, or ended its goroutine"}
