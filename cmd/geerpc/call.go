package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"geerpc"
)

var callCommand = &command{
	name: "call", args: "ADDR Service.Method [JSON]", about: "call a method with arguments in JSON, and print its reply",
	help: `The arguments are one of

  '{"A":1,"B":2}'   JSON; in quotes, for the shell
  @file             the contents of a file; @- is the standard input
  -                 the standard input, line by line: one call for each line, and one
                    line for each reply. A call that fails has an object with
                    "error" there. The exit code is the highest of all calls.

Fields that the method's type lacks are ignored, with a warning. Without arguments the
method gets the zero value. geerpc describe has an example for
each method. If ADDR is a registry, any server that offers the service is called.`,
	min: 2, max: 3, define: defineCall,
}

// A caller calls one method of a target.
type caller struct {
	*target
	geerpc.Caller
	service, serviceMethod string
	metadata               pairs
	fields                 fieldCheck
}

func defineCall(set *flag.FlagSet) action {
	c := &caller{target: targetFlags(set), metadata: make(pairs)}
	set.Var(c.metadata, "H", "`key=value`, metadata that goes with the call; may be repeated")
	showMetadata := set.Bool("i", false, "print the metadata of the reply to the standard error")
	asJSON := jsonFlag(set, "print the reply on one line, and errors as JSON")
	return func(ctx context.Context, std stdio, args []string) error {
		lines := len(args) > 2 && args[2] == "-"
		if lines {
			args = args[:2]
		}
		c.fields.asJSON = *asJSON
		body, err := c.parse(args, std.in)
		if err != nil {
			return err
		}
		var closeCaller func()
		if c.Caller, closeCaller, err = c.newCaller(ctx, c.service); err != nil {
			return err
		}
		defer closeCaller()
		if lines {
			return c.callLines(ctx, std)
		}
		return c.callOnce(ctx, std, body, *showMetadata, *asJSON)
	}
}

// parse sets the address and the method, and returns the arguments for it, if there are
// any.
func (c *caller) parse(args []string, in io.Reader) (body json.RawMessage, err error) {
	if err := c.set(args[0]); err != nil {
		return nil, err
	}
	dot := strings.LastIndexByte(args[1], '.')
	if dot <= 0 || dot == len(args[1])-1 {
		return nil, usagef("%q: want Service.Method", args[1])
	}
	c.service, c.serviceMethod = args[1][:dot], args[1]
	if len(args) == 2 {
		return nil, nil
	}
	return readArgument(args[2], in)
}

// readArgument returns the arguments of a call as JSON.
func readArgument(text string, in io.Reader) (json.RawMessage, error) {
	data, where := []byte(text), "the argument"
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		var err error
		if where = name; name == "-" {
			where = "the standard input"
			data, err = io.ReadAll(in)
		} else {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, err
		}
	}
	return checkJSON(data, where)
}

func checkJSON(data []byte, where string) (json.RawMessage, error) {
	var body json.RawMessage
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, usagef("%s is not JSON: %w", where, err)
	}
	return body, nil
}

// call makes a call and returns the reply. A nil body is null.
func (c *caller) call(ctx context.Context, body json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	if len(c.metadata) > 0 {
		ctx = geerpc.WithMetadata(ctx, geerpc.Metadata(c.metadata))
	}
	var args any
	if body != nil {
		args = body
	}
	var reply json.RawMessage
	err := c.Call(ctx, c.serviceMethod, args, &reply)
	return reply, err
}

func (c *caller) callOnce(ctx context.Context, std stdio, body json.RawMessage, showMetadata, asJSON bool) error {
	md := geerpc.Metadata{}
	reply, err := c.call(geerpc.WithReplyMetadata(ctx, md), body)
	if showMetadata {
		for _, key := range slices.Sorted(maps.Keys(md)) {
			fmt.Fprintf(std.log, "%s: %s\n", key, md[key])
		}
	}
	defer c.fields.check(ctx, c, std.log, body, err) // after the reply, which need not wait for it
	if err != nil {
		return c.explainCall(ctx, c.serviceMethod, err)
	}
	text := pretty(reply)
	if asJSON {
		text = compact(reply)
	}
	_, err = fmt.Fprintln(std.out, text)
	return err
}

// callLines makes a call for each line of the input. It goes on after calls that fail.
func (c *caller) callLines(ctx context.Context, std stdio) error {
	worst, failed := exitOK, int64(0)
	lines := bufio.NewScanner(std.in)
	lines.Buffer(nil, maxReplyBytes)
	for lines.Scan() && ctx.Err() == nil {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		reply, err := c.callLine(ctx, lines.Bytes())
		if err != nil {
			p := newProblem(err)
			worst, failed = max(worst, p.Exit), failed+1
			reply, _ = json.Marshal(p)
		}
		if _, err := fmt.Fprintln(std.out, compact(reply)); err != nil {
			return err
		}
		c.fields.check(ctx, c, std.log, lines.Bytes(), err)
	}
	if err := errors.Join(lines.Err(), ctx.Err()); err != nil {
		return err
	}
	if failed > 0 {
		return &failure{exit: worst, err: fmt.Errorf("%s failed", counted(failed, "call", "calls"))}
	}
	return nil
}

func (c *caller) callLine(ctx context.Context, line []byte) (json.RawMessage, error) {
	body, err := checkJSON(line, "the line")
	if err != nil {
		return nil, &failure{exit: exitBadCall, err: err}
	}
	return c.call(ctx, body)
}

// pretty returns JSON on lines, and compact on one line.
func pretty(text []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

func compact(text []byte) string {
	var out bytes.Buffer
	if json.Compact(&out, text) != nil {
		return string(text)
	}
	return out.String()
}
