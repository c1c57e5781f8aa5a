package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
)

var completionCommand = &command{
	name: "completion", args: "bash|zsh|fish", about: "print a script that has a shell complete commands and flags",
	help: `  bash:  source <(geerpc completion bash)        in ~/.bashrc
  zsh:   source <(geerpc completion zsh)         in ~/.zshrc, after compinit
  fish:  geerpc completion fish | source         in ~/.config/fish/config.fish`,
	min: 1, max: 1, define: defineCompletion,
}

var shells = map[string]func(w io.Writer){"bash": completeBash, "zsh": completeZsh, "fish": completeFish}

func defineCompletion(*flag.FlagSet) action {
	return func(_ context.Context, std stdio, args []string) error {
		complete := shells[args[0]]
		if complete == nil {
			return usagef("shell %q: want bash, zsh or fish", args[0])
		}
		complete(std.out)
		return nil
	}
}

// definedFlags returns the flags of a command, and of each the first words about it.
func (c *command) definedFlags() (flags []*flag.Flag) {
	set := c.flagSet()
	c.define(set)
	for _, f := range flagsOf(set) {
		_, f.Usage = flag.UnquoteUsage(f)
		f.Usage, _, _ = strings.Cut(f.Usage, ";")
		flags = append(flags, f)
	}
	return flags
}

func completeBash(w io.Writer) {
	fmt.Fprintf(w, `_geerpc() {
	local word=${COMP_WORDS[COMP_CWORD]} words=
	if [ "$COMP_CWORD" -eq 1 ]; then
		words='%s'
	elif [[ $word == -* ]]; then
		case ${COMP_WORDS[1]} in
`, strings.Join(commandNames(), " "))
	for _, c := range commands {
		var names []string
		for _, f := range c.definedFlags() {
			names = append(names, "-"+f.Name)
		}
		fmt.Fprintf(w, "\t\t%s) words='%s' ;;\n", c.name, strings.Join(names, " "))
	}
	fmt.Fprint(w, `		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _geerpc geerpc
`)
}

func completeZsh(w io.Writer) {
	described := func(name, about string) string {
		return " " + shellWord(strings.ReplaceAll(name, ":", `\:`)+":"+about)
	}
	fmt.Fprint(w, "#compdef geerpc\n_geerpc() {\n\tlocal -a commands flags\n\tcommands=(")
	for _, c := range commands {
		fmt.Fprint(w, described(c.name, c.about))
	}
	fmt.Fprint(w, " )\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $words[2] in\n")
	for _, c := range commands {
		fmt.Fprintf(w, "\t%s) flags=(", c.name)
		for _, f := range c.definedFlags() {
			fmt.Fprint(w, described("-"+f.Name, f.Usage))
		}
		fmt.Fprint(w, " ) ;;\n")
	}
	fmt.Fprint(w, `	esac
	if [[ $words[CURRENT] == -* ]]; then
		_describe -o flag flags
	else
		_files
	fi
}
compdef _geerpc geerpc
`)
}

func completeFish(w io.Writer) {
	for _, c := range commands {
		fmt.Fprintf(w, "complete -c geerpc -n __fish_use_subcommand -a %s -d %s\n", c.name, shellWord(c.about))
		for _, f := range c.definedFlags() {
			fmt.Fprintf(w, "complete -c geerpc -n '__fish_seen_subcommand_from %s' -o %s -d %s\n", c.name, f.Name, shellWord(f.Usage))
		}
	}
	fmt.Fprintln(w, "complete -c geerpc -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'")
}

// shellWord quotes a word. Apostrophes are left out: they are quoted differently from
// shell to shell.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", "") + "'" }
