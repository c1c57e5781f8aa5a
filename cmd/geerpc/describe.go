package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"geerpc/internal/introspect"
)

var describeCommand = &command{
	name: "describe", args: "ADDR Service[.Method]", about: "show the types of a method, and how to call it",
	min: 2, max: 2, define: defineDescribe,
}

func defineDescribe(set *flag.FlagSet) action {
	t := targetFlags(set)
	schema := set.Bool("schema", false, "add JSON Schemas of the types")
	asJSON := jsonFlag(set, "print the types in Go and as JSON Schema, and the examples, in JSON")
	return func(ctx context.Context, std stdio, args []string) error {
		if err := t.set(args[0]); err != nil {
			return err
		}
		service, method := args[1], ""
		dot := strings.LastIndexByte(args[1], '.')
		if dot >= 0 {
			service, method = args[1][:dot], args[1][dot+1:]
		}
		d, err := t.describe(ctx, service)
		if err != nil {
			return err
		}
		s := &d.Services[0]
		if method != "" {
			i := slices.IndexFunc(s.Methods, func(m introspect.MethodInfo) bool { return m.Name == method })
			if i < 0 {
				return noSuchMethod(method, s)
			}
			s.Methods, s.Skipped = s.Methods[i:i+1], nil
		}
		if *asJSON {
			return json.NewEncoder(std.out).Encode(s)
		}
		t.sayWhose(std.log)
		for i := range s.Methods {
			t.showMethod(std.out, s.Name, &s.Methods[i], *schema)
		}
		for _, m := range s.Skipped {
			fmt.Fprintf(std.out, "%s.%s can't be called: it %s\n", s.Name, m.Name, m.Reason)
		}
		return nil
	}
}

func (t *target) showMethod(w io.Writer, service string, m *introspect.MethodInfo, schema bool) {
	fmt.Fprintf(w, "%s.%s\n    func %s\n\n", service, m.Name, m.Signature)
	fmt.Fprintf(w, "args\n%s\n\nreply\n%s\n\n", indent(m.Args.Go), indent(m.Reply.Go))
	if schema {
		fmt.Fprintf(w, "args as JSON Schema\n%s\n\nreply as JSON Schema\n%s\n\n", indent(pretty(m.Args.Schema)), indent(pretty(m.Reply.Schema)))
	}
	fmt.Fprintf(w, "call\n    geerpc call %s %s.%s %s\n\nreply, for example\n%s\n\n",
		quote(t.given), service, m.Name, quote(string(m.Args.Example)), indent(pretty(m.Reply.Example)))
}

func indent(text string) string {
	text = "    " + strings.ReplaceAll(text, "\n", "\n    ")
	return strings.ReplaceAll(text, "\n    \n", "\n\n")
}

// quote quotes a word for a shell.
func quote(word string) string {
	if !strings.ContainsAny(word, " \t\n'\"\\$`{}[]()<>|&;*?!#~") && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
