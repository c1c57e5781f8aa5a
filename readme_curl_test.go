package geerpc

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeCurl runs the README's curl lines against the server of its program. What
// they print has what stands behind their #, with anything in place of an ellipsis.
func TestReadmeCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") == "" {
		t.Skip("there is no curl")
	}
	addr := startReadmeServer(t)
	for _, b := range blocks(t, "README.md", "sh") {
		for line := range strings.Lines(b.text) {
			if strings.HasPrefix(line, "curl ") {
				checkCurl(t, addr, strings.TrimSpace(line))
			}
		}
	}
}

func checkCurl(t *testing.T, addr, line string) {
	t.Helper()
	command, want, told := strings.Cut(line, " # ")
	if !told || !strings.Contains(command, "localhost:9999") {
		t.Errorf("%s\ndoes not go to localhost:9999, or does not tell what it prints", line)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, "localhost:9999", addr))
	cmd.Env = append(os.Environ(), "no_proxy=*")
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s\n%v", line, err)
	}
	rest := string(out)
	for _, part := range strings.Split(want, "…") {
		_, after, found := strings.Cut(rest, strings.TrimSpace(part))
		if !found {
			t.Errorf("%s\nprints\n%s", line, out)
			return
		}
		rest = after
	}
}

// startReadmeServer starts the README's program without its client.
func startReadmeServer(t *testing.T) (addr string) {
	t.Helper()
	dir := readmeModule(t)
	server, _, found := strings.Cut(blocks(t, "README.md", "go")[0].text, "\n\tclient, err := ")
	if !found {
		t.Fatal("the README's program has no client")
	}
	writeFile(t, dir, "main.go", server+"\n\tfmt.Println(lis.Addr())\n\tselect {}\n}\n\nvar _ time.Time\n")
	program := filepath.Join(dir, "server")
	if out, err := goCommand(t, dir, "build", "-o", program, "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program) // killed when the test ends
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	addr, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(addr)
}
