package page

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"geerpc/internal/introspect"
)

// A Process says which process it is that shows a page, among those of all machines.
type Process struct {
	Host    string `json:"host"` // "" if it is not known
	Program string `json:"program"`
	PID     int    `json:"pid"`
	Build   string `json:"build"` // the program's version, "" if it is not known
	Go      string `json:"go"`
}

// Self returns this process.
func Self() Process {
	p := Process{Program: filepath.Base(os.Args[0]), PID: os.Getpid(), Go: runtime.Version()}
	p.Host, _ = os.Hostname() // without a name, there is none to show
	build := introspect.OwnBuild()
	p.Build = strings.TrimSpace(build.Module + " " + build.Version)
	return p
}

var started = time.Now()

// Uptime returns for how long the process has run.
func Uptime() time.Duration { return time.Since(started) }

// A Setting is a field of a configuration, in force.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // nobody has set it
}
