package geerpc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A reliabilityRow is a case of RELIABILITY.md, with the tests that show it.
var reliabilityRow = regexp.MustCompile(`(?m)^\| ([A-G]\d+) \| (.*) \| (.*) \|(.*)\|$`)

// beingFilledIn stands in RELIABILITY.md as long as cases may lack a test.
const beingFilledIn = "<!-- tests: being filled in -->"

// TestReliability checks that every case in RELIABILITY.md has tests, and that
// they exist. With -update it adds the tests that are named after a case.
func TestReliability(t *testing.T) {
	text, err := os.ReadFile("RELIABILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := testNames(t)
	partial := strings.Contains(string(text), beingFilledIn)
	rows := 0
	text = reliabilityRow.ReplaceAllFunc(text, func(row []byte) []byte {
		m := reliabilityRow.FindStringSubmatch(string(row))
		rows++
		listed := splitTests(m[4])
		if *update {
			listed = addTests(listed, m[1], exists)
			return []byte("| " + m[1] + " | " + m[2] + " | " + m[3] + " |" + joinTests(listed) + "|")
		}
		if len(listed) == 0 && !partial {
			t.Errorf("RELIABILITY.md: %s has no test", m[1])
		}
		for _, name := range listed {
			if !exists[name] {
				t.Errorf("RELIABILITY.md: %s names %s, which does not exist", m[1], name)
			}
		}
		return row
	})
	if rows == 0 {
		t.Fatal("RELIABILITY.md has no cases")
	}
	if *update {
		if err := os.WriteFile("RELIABILITY.md", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// splitTests takes a cell apart: names, each in backquotes.
func splitTests(cell string) (names []string) {
	for name := range strings.SplitSeq(cell, ",") {
		if name = strings.Trim(name, " `"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func joinTests(names []string) string {
	if len(names) == 0 {
		return " "
	}
	return " `" + strings.Join(names, "`, `") + "` "
}

// addTests adds the tests that are named after a case, and drops those that
// were and are no more.
func addTests(listed []string, number string, exists map[string]bool) []string {
	after := func(name string) bool {
		for _, kind := range []string{"Test", "Fuzz"} {
			rest, ok := strings.CutPrefix(name, kind+number)
			if ok && (rest == "" || rest[0] == '_') {
				return true
			}
		}
		return false
	}
	listed = slices.DeleteFunc(listed, func(name string) bool { return after(name) && !exists[name] })
	for name := range exists {
		if after(name) && !slices.Contains(listed, name) {
			listed = append(listed, name)
		}
	}
	slices.Sort(listed)
	return listed
}

// testNames returns the names of all tests and fuzz targets of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	walkGo(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				names[f.Name.Name] = true
			}
		}
	})
	return names
}

// TestReliabilityCells checks the reading and filling of a cell.
func TestReliabilityCells(t *testing.T) {
	exists := map[string]bool{"TestA1_Segment": true, "TestA1": true, "TestA12_Reads": true, "FuzzA1_Bytes": true, "TestByHand": true}
	for cell, want := range map[string]string{
		" ":                " `FuzzA1_Bytes`, `TestA1`, `TestA1_Segment` ",
		" `TestByHand` ":   " `FuzzA1_Bytes`, `TestA1`, `TestA1_Segment`, `TestByHand` ",
		" `TestA1_Gone` ":  " `FuzzA1_Bytes`, `TestA1`, `TestA1_Segment` ",
		" `TestHandGone` ": " `FuzzA1_Bytes`, `TestA1`, `TestA1_Segment`, `TestHandGone` ",
	} {
		if got := joinTests(addTests(splitTests(cell), "A1", exists)); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}
