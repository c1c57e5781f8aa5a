// Package codes has the names of the numbers with which an error travels: its code, where
// the call failed, and whether the method ran. Package geerpc has their types.
package codes

import (
	"strconv"
	"strings"
)

// The codes that are told apart here. They have the numbers of package geerpc, which are
// gRPC's.
const (
	OK uint8 = iota
	Canceled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
)

// The places and the answers that are told apart here.
const (
	InServer uint8 = 2
	RanMaybe uint8 = 0
	RanNever uint8 = 1
)

var (
	names = [...]string{"ok", "canceled", "unknown", "invalid argument", "deadline exceeded", "not found",
		"already exists", "permission denied", "resource exhausted", "failed precondition", "aborted", "out of range",
		"unimplemented", "internal", "unavailable", "data loss", "unauthenticated"}
	places  = [...]string{"in the client", "on the link", "in the server", "in the method"}
	answers = [...]string{"maybe", "never", "yes"}
)

// Name returns a code in words, such as "deadline exceeded".
func Name(code uint8) string { return name(names[:], "code", code) }

// Where returns in words where a call failed, such as "on the link".
func Where(where uint8) string { return name(places[:], "where", where) }

// Ran returns whether a method ran: "maybe", "never" or "yes".
func Ran(ran uint8) string { return name(answers[:], "ran", ran) }

func name(names []string, kind string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return kind + "(" + strconv.Itoa(int(i)) + ")"
}

// A Detail is what a program in another language learns of an error beside its text.
type Detail struct {
	Code  string `json:"code"`  // such as "deadline_exceeded", as in the Connect protocol
	Where string `json:"where"` // "client", "link", "server" or "method"
	Ran   string `json:"ran"`   // "never", "maybe" or "yes"
}

// DetailOf returns the Detail of an error.
func DetailOf(code, where, ran uint8) Detail {
	place := Where(where)
	return Detail{strings.ReplaceAll(Name(code), " ", "_"), place[strings.LastIndexByte(place, ' ')+1:], Ran(ran)}
}

// Numbers returns what DetailOf was given. It reports false for a Detail that is not one
// of ours.
func (d Detail) Numbers() (code, where, ran uint8, ok bool) {
	for int(code) < len(names) && DetailOf(code, 0, 0).Code != d.Code {
		code++
	}
	for int(where) < len(places) && DetailOf(0, where, 0).Where != d.Where {
		where++
	}
	for int(ran) < len(answers) && DetailOf(0, 0, ran).Ran != d.Ran {
		ran++
	}
	return code, where, ran, int(code) < len(names) && int(where) < len(places) && int(ran) < len(answers)
}
