package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestRun runs the experiment, and looks at what it leaves behind. The time in the
// bubble is that of a machine that does nothing else.
func TestRun(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "overload.svg")
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		if err := run(&out, shortest, picture); err != nil {
			t.Errorf("%v\n%s", err, &out)
		}
	})
	for _, p := range protections() {
		if !strings.Contains(out.String(), "\n"+p.name+" ") {
			t.Errorf("the table has no line for %s:\n%s", p.name, &out)
		}
	}
	svg, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheck: a run that does not show what it is to show fails.
func TestCheck(t *testing.T) {
	all := protections()
	for _, c := range []struct {
		name     string
		length   time.Duration
		of       protection
		answered int // of a thousand
		ok       bool
	}{
		{"protected", shortest, all[1], 900, true},
		{"protected in vain", shortest, all[1], 899, false},
		{"protected, short", time.Second, all[2], 400, true},
		{"protected in vain, short", time.Second, all[2], 399, false},
		{"no protection", shortest, all[0], 100, true},
		{"no overload", shortest, all[0], 101, false},
		{"no overload, short", time.Second, all[0], 351, false},
	} {
		r := report{capacity: 1000 / c.length.Seconds(), length: c.length,
			outcomes: []*outcome{{protection: c.of, good: []int{c.answered}}}}
		if err := r.check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
