package main

import (
	"io"
	"strings"
	"unicode"
)

// A printableWriter replaces control characters, so that text from a server can't control
// the user's terminal.
type printableWriter struct{ to io.Writer }

// Write implements io.Writer. p must not end within a character.
func (w printableWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, printable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' && c != '\t' {
			return unicode.ReplacementChar
		}
		return c
	}, text)
}
