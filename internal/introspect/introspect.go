// Package introspect has the methods with which every server describes itself: their
// names, arguments and replies. PROTOCOL.md documents them for other languages.
package introspect

import (
	"runtime/debug"
	"time"

	"geerpc/internal/describe"
)

// Service is the name of the service. It is lower case, so no type that Register takes
// has it.
const Service = "geerpc"

// The methods.
const (
	Describe = Service + ".Describe" // describes services: Args to Description
	Stats    = Service + ".Stats"    // counts and times calls: Args to Statistics
)

// Version is the version of the replies. Fields may be added to them without a new one.
const Version = 1

// Args names the service in question. An empty name means all services that the program
// has registered.
type Args struct{ Service string }

// A Description is what a server offers.
type Description struct {
	Version  int
	Build    Build
	Services []ServiceInfo // sorted by name
}

// A Build identifies the server's program. A field that is not known is empty.
type Build struct {
	Module   string // the path of the program's module
	Version  string // of that module
	Revision string // in version control
	Go       string // the version of Go
}

// A ServiceInfo is a service.
type ServiceInfo struct {
	Name    string
	Methods []MethodInfo // sorted by name
	Skipped []Skipped    // exported methods that can't be called, sorted by name
}

// A MethodInfo is a method that can be called.
type MethodInfo struct {
	Name      string
	Signature string // in Go
	Args      describe.Type
	Reply     describe.Type
}

// A Skipped is a method that can't be called.
type Skipped struct {
	Name   string
	Reason string // such as "does not return an error and nothing else"
}

// Statistics are the state of a server, and numbers of its calls.
type Statistics struct {
	Version       int
	State         string  // "open", "draining" or "closed"
	UptimeSeconds float64 // since the server was first given a listener or a connection
	Connections   int
	Methods       []MethodStats // sorted by name
}

// A MethodStats has the numbers of a method's calls, since the server began and in the
// last minute.
type MethodStats struct {
	Method   string // "Service.Method"
	Calls    int64  // that have begun
	Errors   int64  // of these: failed
	InFlight int64  // of these: running
	Minute   Recent
}

// A Recent has the numbers of calls that have ended lately. Latencies are those of the
// calls that ran, to 12 %.
type Recent struct {
	Seconds float64 // how long ago it begins
	Calls   int64
	Errors  map[string]int64 // by code, in words
	P50     time.Duration
	P90     time.Duration
	P99     time.Duration
	P999    time.Duration
}

// OwnBuild returns the Build of this program.
func OwnBuild() (b Build) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b = Build{Module: info.Main.Path, Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// FullName returns the name by which a method is called. A function may have no service.
func FullName(service, method string) string {
	if service == "" {
		return method
	}
	return service + "." + method
}
