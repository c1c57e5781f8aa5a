package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"geerpc"
)

// The exit codes, by the kind of failure.
const (
	exitOK = iota
	exitFailure
	exitUsage
	exitBadCall
	exitUnavailable
	exitDeadline
	exitDenied
	exitMethod
)

var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "success"},
	{exitFailure, "a failure of another kind"},
	{exitUsage, "wrong usage of this command"},
	{exitBadCall, "the call can't work: no such method, or arguments that are not the method's"},
	{exitUnavailable, "the server or the registry can't be reached, or refuses because of a limit"},
	{exitDeadline, "the time was up, see -timeout"},
	{exitDenied, "not allowed: the token, the certificate, or the server's rules"},
	{exitMethod, "the method was called and returned an error"},
}

// A failure is an error with an exit code, and with what to try.
type failure struct {
	exit int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usagef returns the error of a command that was used wrongly.
func usagef(format string, a ...any) error {
	return &failure{exit: exitUsage, err: fmt.Errorf(format, a...)}
}

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.exit
	}
	if err == nil {
		return exitOK
	}
	switch code := geerpc.CodeOf(err); code {
	case geerpc.CodeDeadlineExceeded:
		return exitDeadline
	case geerpc.CodePermissionDenied, geerpc.CodeUnauthenticated:
		return exitDenied
	default:
		return exitCodeBy(code, err)
	}
}

// exitCodeBy is exitCode for codes that mean something else when a method returns them.
func exitCodeBy(code geerpc.Code, err error) int {
	var e *geerpc.Error
	if errors.As(err, &e) && e.Where == geerpc.InMethod {
		return exitMethod
	}
	switch code {
	case geerpc.CodeNotFound, geerpc.CodeInvalidArgument, geerpc.CodeUnimplemented, geerpc.CodeOutOfRange:
		return exitBadCall
	case geerpc.CodeUnavailable, geerpc.CodeResourceExhausted:
		return exitUnavailable
	}
	return exitFailure
}

// A problem is an error as JSON.
type problem struct {
	Error  string `json:"error"`
	Code   string `json:"code,omitempty"` // of a call
	Where  string `json:"where,omitempty"`
	Ran    string `json:"ran,omitempty"`
	Server string `json:"server,omitempty"` // that failed, through a registry too
	Exit   int    `json:"exit"`
	Hint   string `json:"hint,omitempty"`
}

func newProblem(err error) problem {
	p := problem{Error: err.Error(), Exit: exitCode(err)}
	var f *failure
	if errors.As(err, &f) {
		p.Hint = f.hint
	}
	var e *geerpc.Error
	if errors.As(err, &e) {
		p.Code, p.Where, p.Ran, p.Server = e.Code.String(), e.Where.String(), e.Ran.String(), e.Server
	}
	return p
}

// report writes an error to the log, and returns the exit code.
func (c *command) report(log io.Writer, err error, asJSON bool) int {
	if err == nil {
		return exitOK
	}
	p := newProblem(err)
	if asJSON {
		json.NewEncoder(log).Encode(p)
		return p.Exit
	}
	fmt.Fprintf(log, "geerpc %s: %s\n", c.name, p.Error)
	if p.Hint != "" {
		fmt.Fprintf(log, "hint: %s\n", p.Hint)
	}
	if p.Exit == exitUsage {
		fmt.Fprintf(log, "usage: %s\ngeerpc help %s has more.\n", c.synopsis(), c.name)
	}
	return p.Exit
}
