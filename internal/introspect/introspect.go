// Package introspect is what a server says of itself when it is called: the names of
// the methods for that, their arguments and their replies. PROTOCOL.md documents them
// for other languages.
package introspect

import (
	"runtime/debug"

	"geerpc/internal/describe"
)

// Service is the name of the service. It is lower case, as no type is that Register
// takes.
const Service = "geerpc"

// Describe is the method that describes services. It takes DescribeArgs and replies with
// a Description.
const Describe = Service + ".Describe"

// Version is the version of the replies. Fields may be added to them without a new one.
const Version = 1

// DescribeArgs names the service to be described. An empty name means all services that
// the program has registered.
type DescribeArgs struct{ Service string }

// A Description is what a server offers.
type Description struct {
	Version  int
	Build    Build
	Services []ServiceInfo // sorted by name
}

// A Build says what program the server is. What is not known is empty.
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
