package geerpc

import (
	"cmp"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers are the folders of the module, each with the folders in it that are
// not in this list themselves. A folder may import those on the lines above its
// own. Folders on one line don't import each other.
var layers = [][]string{
	{"internal"},
	{"internal/nesting"},
	{"internal/gobstream"},
	{"codec"},
	{"internal/link"},
	{"internal/handshake"},
	{"internal/opening"},
	{"internal/transport", "internal/rpctest", "internal/httpcall"},
	{"geerpc"},
	{"xclient", "registry", "middleware"},
	{"cmd", "examples", "test"},
}

// layerOf returns the entry of layers that a folder belongs to and the number of
// its line, or -1.
func layerOf(folder string) (entry string, line int) {
	for ; folder != "."; folder = path.Dir(folder) {
		for line, folders := range layers {
			if slices.Contains(folders, folder) {
				return folder, line
			}
		}
	}
	return "", -1
}

// mayImport tells whether a file in the folder may import a path.
func mayImport(folder, imported string, test bool) bool {
	first, rest, _ := strings.Cut(imported, "/")
	if first != "geerpc" {
		return !strings.Contains(first, ".") && imported != "C" // the standard library
	}
	from, fromLine := layerOf(folder)
	to, toLine := layerOf(cmp.Or(rest, "geerpc"))
	switch {
	case fromLine < 0 || toLine < 0:
		return false
	case test:
		return true // the compiler sees to cycles
	}
	return to == from || toLine < fromLine
}

// folderOf returns the folder of a file; that of the root is "geerpc".
func folderOf(file string) string {
	if folder := path.Dir(filepath.ToSlash(file)); folder != "." {
		return folder
	}
	return "geerpc"
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
			if !mayImport(folderOf(name), imported, strings.HasSuffix(name, "_test.go")) {
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
		{"codec/codectest", "geerpc/codec", false, true},
		{"codec", "geerpc/internal/gobstream", false, true},
		{"internal/wire", "geerpc/codec", false, false},
		{"internal/wire", "geerpc/internal/gobstream", false, false},
		{"internal/nesting", "geerpc/internal/gobstream", false, false},
		{"internal/gobstream", "geerpc/internal/nesting", false, true},
		{"internal/gobstream", "geerpc/codec", true, true},
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
