package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// flagSet returns an empty set of flags for a command.
func (c *command) flagSet() *flag.FlagSet {
	set := flag.NewFlagSet("geerpc "+c.name, flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are reported by run
	return set
}

// parse sets the flags, which may stand anywhere among the arguments, and returns the
// other arguments. Behind -- there are no flags, and a negative number is none.
func (c *command) parse(set *flag.FlagSet, args []string) (others []string, err error) {
	for len(args) > 0 {
		if isNumber(args[0]) {
			others, args = append(others, args[0]), args[1:]
			continue
		}
		err := set.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			return nil, flag.ErrHelp
		case err != nil:
			return nil, flagError(set, err)
		}
		parsed := args[:len(args)-set.NArg()]
		args = set.Args()
		if len(parsed) > 0 && parsed[len(parsed)-1] == "--" {
			others, args = append(others, args...), nil
		}
		if len(args) > 0 {
			others, args = append(others, args[0]), args[1:]
		}
	}
	switch {
	case len(others) < c.min:
		return nil, usagef("%s missing: %s", counted(int64(c.min-len(others)), "argument is", "arguments are"), c.args)
	case len(others) > c.max && c.max == 0:
		return nil, usagef("there are no arguments, only flags: what is %q?", others[0])
	case len(others) > c.max:
		return nil, usagef("too many arguments: what is %q? JSON must be in quotes", others[c.max])
	}
	return others, nil
}

func isNumber(s string) bool { return len(s) > 1 && s[0] == '-' && '0' <= s[1] && s[1] <= '9' }

// flagError returns what is wrong with flags, and suggests one in place of one that is
// not there.
func flagError(set *flag.FlagSet, err error) error {
	_, wrong, ok := strings.Cut(err.Error(), "not defined: ")
	if !ok {
		return usagef("%w", err)
	}
	var known []string
	for _, f := range flagsOf(set) {
		known = append(known, "-"+f.Name)
	}
	return usagef("there is no flag %s%s", wrong, didYouMean(wrong, known))
}

// flagsOf returns the flags of a set, sorted by name.
func flagsOf(set *flag.FlagSet) (flags []*flag.Flag) {
	set.VisitAll(func(f *flag.Flag) { flags = append(flags, f) })
	return flags
}

// isSet reports whether a boolean flag exists and is set.
func isSet(set *flag.FlagSet, name string) bool {
	f := set.Lookup(name)
	return f != nil && f.Value.String() == "true"
}

func jsonFlag(set *flag.FlagSet, about string) *bool { return set.Bool("json", false, about) }

// A pairs is the value of a flag for a key and a value, which may be given several times.
type pairs map[string]string

// String implements flag.Value.
func (p pairs) String() string { return "" }

// Set implements flag.Value.
func (p pairs) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("want key=value")
	}
	p[strings.TrimSpace(key)] = value
	return nil
}
