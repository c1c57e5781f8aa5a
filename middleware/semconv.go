package middleware

import "geerpc"

// The names of OpenTelemetry's semantic conventions for RPC, which are stable
// since version 1.45. They are for a Tracer.
const (
	AttrSystem    = "rpc.system.name"
	AttrMethod    = "rpc.method"
	AttrErrorType = "error.type"

	// AttrStatus was rpc.response.status_code in 1.39 to 1.44. What reads the
	// older name needs a rule for it.
	AttrStatus = "rpc.status_code"

	// SystemName is the value of AttrSystem.
	SystemName = "geerpc"

	scopeName = "geerpc/middleware"

	// otherName stands for methods, codes and refusals that have no name of
	// their own, so that nobody can make names up.
	otherName = "_OTHER"
)

// statusNames are the codes as the conventions write those of gRPC.
var statusNames = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED", otherName}

// statusIndex is where a code's name is in statusNames.
func statusIndex(code geerpc.Code) int { return min(int(code), len(statusNames)-1) }

// codeOf is geerpc.CodeOf, but that an error is never OK. For a call without an
// error it allocates nothing.
func codeOf(err error) geerpc.Code {
	if err == nil {
		return geerpc.CodeOK
	}
	if code := geerpc.CodeOf(err); code != geerpc.CodeOK {
		return code
	}
	return geerpc.CodeUnknown
}
