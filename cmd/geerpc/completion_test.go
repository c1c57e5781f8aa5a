package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCompletion_Bash has bash complete words with the script.
func TestCompletion_Bash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	script := geerpcRun(t, "completion", "bash").out
	for words, want := range map[string]string{"geerpc c": "call completion", "geerpc call -ti": "-timeout", "geerpc call x": "", "geerpc bench -ra": "-rate"} {
		list := strings.Fields(words)
		test := script + "\nCOMP_WORDS=(" + words + ")\nCOMP_CWORD=" + string(rune('0'+len(list)-1)) + "\n_geerpc\necho ${COMPREPLY[*]}\n"
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", test)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: %q, %v, want %q", words, out, err, want)
		}
	}
}

// TestCompletion has the shells that are there read their scripts.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		o := geerpcRun(t, "completion", shell)
		for _, c := range commands {
			o.want(t, 0, c.name, "")
		}
		o.want(t, 0, "token-file", "")
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, "-n")
		cmd.Stdin = strings.NewReader(o.out)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	geerpcRun(t, "completion", "sh").want(t, exitUsage, "", "bash, zsh or fish")
}

func TestVersion(t *testing.T) {
	geerpcRun(t, "version").want(t, 0, "geerpc ", "")
	var b struct{ Go string }
	geerpcRun(t, "version", "-json").decode(t, &b)
	if !strings.HasPrefix(b.Go, "go") && !strings.HasPrefix(b.Go, "devel") {
		t.Errorf("%+v", b)
	}
}

func TestHelp(t *testing.T) {
	help := geerpcRun(t, "help")
	for _, c := range commands {
		help.want(t, 0, "\n  "+c.name+" ", "")
		for _, o := range []outcome{geerpcRun(t, "help", c.name), geerpcRun(t, c.name, "-h")} {
			o.want(t, 0, "usage: "+c.synopsis()+"\n", "")
			for _, f := range c.definedFlags() {
				o.want(t, 0, "\n  -"+f.Name, "")
			}
		}
	}
	help.want(t, 0, "\n  7  ", "")
	geerpcRun(t, "help", "cal").want(t, exitUsage, "", "did you mean call?")
	geerpcRun(t).want(t, exitUsage, "", "commands:")
	geerpcRun(t, "serv").want(t, exitUsage, "", "no command")
}
