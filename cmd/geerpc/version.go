package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"

	"geerpc/internal/introspect"
)

var versionCommand = &command{name: "version", about: "print the version", define: defineVersion}

func defineVersion(set *flag.FlagSet) action {
	asJSON := jsonFlag(set, "print it in JSON")
	return func(_ context.Context, std stdio, _ []string) error {
		b := introspect.OwnBuild()
		if *asJSON {
			return json.NewEncoder(std.out).Encode(b)
		}
		text := "geerpc " + cmp.Or(b.Version, "(devel)")
		if b.Revision != "" {
			text += ", revision " + b.Revision
		}
		_, err := fmt.Fprintln(std.out, text+", "+b.Go)
		return err
	}
}
