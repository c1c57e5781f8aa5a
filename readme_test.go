package geerpc

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// update brings what is counted and collected in the documents up to date:
//
//	go test -run 'TestReadme|TestReliability' . -update
var update = flag.Bool("update", false, "bring README.md and RELIABILITY.md up to date")

// TestReadmeProgram runs the program that the README starts with, in a module
// with the go.mod that it shows.
func TestReadmeProgram(t *testing.T) {
	out, err := goCommand(t, readmeModule(t), "run", ".")
	if err != nil || out != "1 + 2 = 3\n" {
		t.Errorf("the README's program says %q, %v", out, err)
	}
}

// TestReadmeSnippets vets all other code in the README and in SECURITY.md, which
// stands beside the program: it knows Args and Arith, and what is in snippetNames.
func TestReadmeSnippets(t *testing.T) {
	dir := readmeModule(t)
	writeFile(t, dir, "names.go", snippetFile(t, snippetNames))
	where := make(map[string]string) // heading by file
	snippets := append(blocks(t, "README.md", "go")[1:], blocks(t, "SECURITY.md", "go")...)
	for i, b := range snippets {
		name, text := fmt.Sprintf("snippet%d.go", i), b.text
		where[name] = b.heading
		if !isDeclaration(text) {
			text = "func _() {\n" + text + used(t, text) + "}\n"
		}
		writeFile(t, dir, name, snippetFile(t, text))
	}
	if out, err := goCommand(t, dir, "vet", "."); err != nil {
		t.Errorf("documented code does not compile: %v\n%s", err, out)
		for name, heading := range where {
			if strings.Contains(out, name) {
				t.Errorf("%s is under %q", name, heading)
			}
		}
	}
}

// snippetNames is what snippets may use.
const snippetNames = `
var (
	ctx    context.Context
	server *geerpc.Server
	client *geerpc.Client
	lis    net.Listener
	addr   string
	secret string
	certs  []tls.Certificate
	sum    int
	store  Arith
)

func authorize(next geerpc.CallFunc) geerpc.CallFunc { return next }
`

// snippetImports are the packages that they may use, by name.
var snippetImports = map[string]string{
	"codec": "geerpc/codec", "context": "context", "errors": "errors", "fmt": "fmt", "geerpc": "geerpc",
	"http": "net/http", "log": "log", "middleware": "geerpc/middleware", "net": "net", "os": "os", "registry": "geerpc/registry",
	"signal": "os/signal", "slog": "log/slog", "syscall": "syscall", "time": "time", "tls": "crypto/tls",
	"x509": "crypto/x509", "xclient": "geerpc/xclient",
}

// isDeclaration tells code that stands in a file from what stands in a function.
func isDeclaration(text string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, 0)
	return err == nil
}

// snippetFile returns the Go file of some declarations, with the imports that
// they need.
func snippetFile(t *testing.T, declarations string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+declarations, 0)
	if err != nil {
		t.Fatalf("%v in\n%s", err, declarations)
	}
	needed := make(map[string]bool)
	for _, id := range file.Unresolved {
		if path := snippetImports[id.Name]; path != "" {
			needed[path] = true
		}
	}
	imports := ""
	for path := range needed {
		imports += "import " + strconv.Quote(path) + "\n"
	}
	return "package main\n" + imports + declarations
}

// used returns code that uses what the statements declare: snippets may end
// before they do.
func used(t *testing.T, statements string) (uses string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+statements+"}", 0)
	if err != nil {
		t.Fatalf("%v in\n%s", err, statements)
	}
	for _, s := range file.Decls[0].(*ast.FuncDecl).Body.List {
		if a, ok := s.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, lhs := range a.Lhs {
				if name := lhs.(*ast.Ident).Name; name != "_" {
					uses += "_ = " + name + "\n"
				}
			}
		}
	}
	return uses
}

// readmeModule makes a module of the README's go.mod and program.
func readmeModule(t *testing.T) (dir string) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	mod := blocks(t, "README.md", "")[0].text
	if !strings.Contains(mod, "=> ../geerpc\n") {
		t.Fatalf("the README's go.mod does not say where geerpc is:\n%s", mod)
	}
	dir = t.TempDir()
	writeFile(t, dir, "go.mod", strings.Replace(mod, "../geerpc", strconv.Quote(root), 1))
	writeFile(t, dir, "main.go", blocks(t, "README.md", "go")[0].text)
	return dir
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// goCommand runs the go command in a module's folder.
func goCommand(t *testing.T, dir string, args ...string) (out string, err error) {
	t.Helper()
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command")
	}
	cmd := exec.CommandContext(t.Context(), goTool, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// TestReadmeLinks checks that the files that documents link to are there.
func TestReadmeLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:"]+)\)`)
	for _, document := range []string{"README.md", "PROTOCOL.md", "SECURITY.md", "RELIABILITY.md", "CHANGELOG.md", "docs/net-rpc.md", "docs/migrate.md"} {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), string(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", document, m[1], err)
			}
		}
	}
}

// TestReadmeNetRPC checks that the tests which docs/net-rpc.md names exist.
func TestReadmeNetRPC(t *testing.T) {
	text, err := os.ReadFile("docs/net-rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	exists, listed := testNames(t), regexp.MustCompile("`(Test[^`]+)`").FindAllSubmatch(text, -1)
	for _, m := range listed {
		if !exists[string(m[1])] {
			t.Errorf("docs/net-rpc.md names %s, which does not exist", m[1])
		}
	}
	if len(listed) < 20 {
		t.Errorf("docs/net-rpc.md names %d tests", len(listed))
	}
}

// TestReadmeLines checks the table of lines per package; a fifth more or less
// will do.
func TestReadmeLines(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	have := linesPerPackage(t)
	row := regexp.MustCompile(`(?m)^\| ([a-z]+) \| ([\d,]+) \| `)
	listed := make(map[string]bool)
	text = row.ReplaceAllFunc(text, func(found []byte) []byte {
		m := row.FindSubmatch(found)
		name := string(m[1])
		listed[name] = true
		said, _ := strconv.Atoi(strings.ReplaceAll(string(m[2]), ",", ""))
		if *update {
			return fmt.Appendf(nil, "| %s | %s | ", name, thousands(have[name]))
		}
		if said*5 < have[name]*4 || said*5 > have[name]*6 {
			t.Errorf("README.md: %s has %d lines, not %d: run this test with -update", name, have[name], said)
		}
		return found
	})
	for name := range have {
		if !listed[name] {
			t.Errorf("README.md: the table of packages has no line for %s", name)
		}
	}
	if *update {
		if err := os.WriteFile("README.md", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// thousands writes n, rounded to tens, with commas.
func thousands(n int) string {
	n = (n + 5) / 10 * 10
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// linesPerPackage counts the lines of Go by top folder, without tests.
func linesPerPackage(t *testing.T) map[string]int {
	t.Helper()
	count := make(map[string]int)
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		count[topFolder(path)] += bytes.Count(data, []byte("\n"))
	})
	return count
}

// topFolder returns the name of the part of the module that a file is in.
func topFolder(path string) string {
	if top, _, nested := strings.Cut(filepath.ToSlash(path), "/"); nested {
		return top
	}
	return "geerpc"
}

// walkGo calls f for each Go file of the module.
func walkGo(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if nested == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
