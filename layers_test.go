package geerpc

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// layers are the folders of the module, each of which may import those above
// it in this list. Folders on one line don't import each other.
var layers = [][]string{
	{"internal"},
	{"codec"},
	{"geerpc"},
	{"xclient", "registry"},
	{"cmd", "examples", "test"},
}

// layerOf returns the number of a folder's layer, or -1.
func layerOf(folder string) int {
	for i, folders := range layers {
		for _, f := range folders {
			if f == folder {
				return i
			}
		}
	}
	return -1
}

// mayImport tells whether a file in the folder may import a path.
func mayImport(folder, imported string, test bool) bool {
	first, rest, _ := strings.Cut(imported, "/")
	if first != "geerpc" {
		return !strings.Contains(first, ".") && imported != "C" // the standard library
	}
	target := "geerpc"
	if rest != "" {
		target, _, _ = strings.Cut(rest, "/")
	}
	from, to := layerOf(folder), layerOf(target)
	switch {
	case from < 0 || to < 0:
		return false
	case test:
		return true // the compiler sees to cycles
	}
	return target == folder || to < from
}

// TestLayers holds the direction of imports, and that there is nothing but the
// standard library.
func TestLayers(t *testing.T) {
	seen := 0
	walkGo(t, func(name string) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			seen++
			if !mayImport(topFolder(name), imported, strings.HasSuffix(name, "_test.go")) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	})
	if seen == 0 {
		t.Error("no imports found")
	}
}

// TestLayersRule checks the rule that TestLayers applies.
func TestLayersRule(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		test, want       bool
	}{
		{"geerpc", "net/http", false, true},
		{"geerpc", "golang.org/x/net/http2", false, false},
		{"examples", "example.com/dep", true, false},
		{"geerpc", "C", false, false},
		{"geerpc", "geerpc/codec", false, true},
		{"codec", "geerpc", false, false},
		{"codec", "geerpc", true, true},
		{"codec", "geerpc/internal/wire", false, true},
		{"codec", "geerpc/codec", false, true}, // codec/codectest
		{"internal", "geerpc/codec", false, false},
		{"xclient", "geerpc/registry", false, false},
		{"xclient", "geerpc/xclient/internal/attempt", false, true},
		{"registry", "geerpc", false, true},
		{"cmd", "geerpc/xclient", false, true},
		{"geerpc", "geerpc/xclient", false, false},
		{"util", "geerpc", false, false}, // in no layer
	} {
		if got := mayImport(c.folder, c.imported, c.test); got != c.want {
			t.Errorf("%s (test: %v) may import %s: %v, want %v", path.Join(".", c.folder), c.test, c.imported, got, c.want)
		}
	}
}

// TestNoDependencies checks that go.mod requires nothing.
func TestNoDependencies(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		if word := strings.Fields(line); len(word) > 0 && word[0] != "module" && word[0] != "go" {
			t.Errorf("go.mod says %s", line)
		}
	}
}
