package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"text/tabwriter"

	"geerpc/internal/introspect"
)

var listCommand = &command{
	name: "list", args: "ADDR [Service]", about: "list the methods of a server",
	help: `Each line is a method that can be called. -l adds its declaration in Go, and the
methods that can't be called, with the reason.`,
	min: 1, max: 2, define: defineList,
}

// A listedMethod is a method in the list as JSON.
type listedMethod struct {
	Method    string `json:"method"`
	Signature string `json:"signature,omitempty"`
	Skipped   string `json:"skipped,omitempty"` // why it can't be called
}

func defineList(set *flag.FlagSet) action {
	t := targetFlags(set)
	long := set.Bool("l", false, "add the declarations, and the methods that can't be called")
	asJSON := jsonFlag(set, "print all that -l shows, as a JSON array")
	return func(ctx context.Context, std stdio, args []string) error {
		if err := t.set(args[0]); err != nil {
			return err
		}
		service := ""
		if len(args) > 1 {
			service = args[1]
		}
		d, err := t.describe(ctx, service)
		if err != nil {
			return err
		}
		list := listMethods(d)
		if len(list) == 0 {
			fmt.Fprintln(std.log, "the server has no services")
		}
		if *asJSON {
			return json.NewEncoder(std.out).Encode(list)
		}
		t.sayWhose(std.log)
		table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
		for _, m := range list {
			switch {
			case m.Skipped == "" && *long:
				fmt.Fprintf(table, "%s\t%s\n", m.Method, m.Signature)
			case m.Skipped == "":
				fmt.Fprintln(table, m.Method)
			case *long:
				fmt.Fprintf(table, "%s\tcan't be called: it %s\n", m.Method, m.Skipped)
			}
		}
		return table.Flush()
	}
}

func listMethods(d *introspect.Description) []listedMethod {
	list := []listedMethod{}
	for _, s := range d.Services {
		for _, m := range s.Methods {
			list = append(list, listedMethod{Method: introspect.FullName(s.Name, m.Name), Signature: m.Signature})
		}
		for _, m := range s.Skipped {
			list = append(list, listedMethod{Method: introspect.FullName(s.Name, m.Name), Skipped: m.Reason})
		}
	}
	return list
}
