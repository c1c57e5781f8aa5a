package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
	"geerpc/registry"
)

var serversCommand = &command{
	name: "servers", args: "REGISTRY", about: "list the servers that a registry knows",
	help: `REGISTRY is the URL of a registry, such as http://127.0.0.1:9999` + registryapi.DefaultPath + `,
or those of several, separated by commas, of which the first that answers is asked.`,
	min: 1, max: 1, define: defineServers,
}

func defineServers(set *flag.FlagSet) action {
	t := new(target)
	t.connectFlags(set)
	asJSON := jsonFlag(set, "print the list as the registry sends it, in JSON")
	return func(ctx context.Context, std stdio, args []string) error {
		if t.addr = args[0]; !isRegistry(t.addr) {
			t.addr = "http://" + t.addr
		}
		t.given = t.addr
		servers, err := t.list(ctx)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return json.NewEncoder(std.out).Encode(servers)
		case len(servers) == 0:
			fmt.Fprintln(std.log, "no servers")
			return nil
		}
		return showServers(std.out, servers)
	}
}

func showServers(w io.Writer, servers []registry.ServerItem) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ADDRESS\tWEIGHT\tSTATE\tSINCE\tLAST BEAT\tSERVICES\tMETADATA")
	for _, s := range servers {
		state := "alive"
		switch {
		case s.Silent:
			state = "silent"
		case s.Legacy:
			state = "GeeRPC's"
		}
		var metadata []string
		for _, key := range slices.Sorted(maps.Keys(s.Metadata)) {
			metadata = append(metadata, key+"="+s.Metadata[key])
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", s.Addr, s.Weight, state, ago(s.Since), ago(s.LastBeat),
			cmp.Or(strings.Join(s.Services, ","), "-"), cmp.Or(strings.Join(metadata, " "), "-"))
	}
	return table.Flush()
}

func ago(at time.Time) string {
	return max(time.Since(at), 0).Truncate(time.Second).String() + " ago"
}

// list asks the registries for their servers, one after the other until one answers.
func (t *target) list(ctx context.Context) (servers []registry.ServerItem, err error) {
	ctx, cancel := t.withTimeout(ctx)
	defer cancel()
	client, err := t.httpClient()
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, url := range registryapi.SplitURLs(t.addr) {
		servers, err := askRegistry(ctx, client, url)
		if err == nil {
			return servers, nil
		}
		failures = append(failures, err)
	}
	err = errors.Join(failures...)
	return nil, &failure{exit: registryExit(err), err: err, hint: cmp.Or(t.connectHint(err), "is there a registry at that URL?")}
}

func askRegistry(ctx context.Context, client *http.Client, url string) ([]registry.ServerItem, error) {
	u, err := registryapi.ParseURL(url)
	if err != nil {
		return nil, usagef("registry: %w", err)
	}
	query := u.Query()
	query.Set("format", "json")
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("registry %s: %s; %s", u.Redacted(), resp.Status, registryapi.PathHint)
	}
	var list registryapi.List[registry.ServerItem]
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxReplyBytes)).Decode(&list); err != nil {
		return nil, fmt.Errorf("registry %s: %w; %s", u.Redacted(), err, registryapi.PathHint)
	}
	if list.Index == 0 {
		return nil, fmt.Errorf("registry %s: there is no registry at that URL; %s", u.Redacted(), registryapi.PathHint)
	}
	return list.Servers, nil
}

func registryExit(err error) int {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.exit
	case geerpc.CodeOf(err) == geerpc.CodeDeadlineExceeded:
		return exitDeadline
	}
	return exitUnavailable
}
