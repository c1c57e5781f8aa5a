package middleware

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const (
	traceA   = "0af7651916cd43dd8448eb211c80319c"
	spanA    = "b7ad6b7169203331"
	parentA  = "00-" + traceA + "-" + spanA + "-01"
	spanless = "0000000000000000"
)

// TestTraceparent has the examples of the recommendation, and what it says of
// versions, ids and flags.
func TestTraceparent(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"sampled", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		{"not sampled", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"},
		{"first example", parentA, parentA},
		{"random", "00-" + traceA + "-" + spanA + "-02", "00-" + traceA + "-" + spanA + "-02"},
		{"random and sampled", "00-" + traceA + "-" + spanA + "-03", "00-" + traceA + "-" + spanA + "-03"},
		{"unknown flags are zero", "00-" + traceA + "-" + spanA + "-ff", "00-" + traceA + "-" + spanA + "-03"},
		{"unknown flags, not sampled", "00-" + traceA + "-" + spanA + "-fc", "00-" + traceA + "-" + spanA + "-00"},
		{"higher version", "cc-" + traceA + "-" + spanA + "-01", parentA},
		{"higher version, more behind", "cc-" + traceA + "-" + spanA + "-01-what-the-future-will-be-like", parentA},
		{"higher version, a dash behind", "01-" + traceA + "-" + spanA + "-01-", parentA},
		{"higher version, dots behind", "cc-" + traceA + "-" + spanA + "-01.what-the-future", ""},
		{"higher version, cut", "cc-" + traceA + "-" + spanA + "-0", ""},
		{"version 00, more behind", parentA + "-what-the-future", ""},
		{"version 00, a dash behind", parentA + "-", ""},
		{"version ff", "ff-" + traceA + "-" + spanA + "-01", ""},
		{"version ff, more behind", "ff-" + traceA + "-" + spanA + "-01-x", ""},
		{"version that is no number", ".0-" + traceA + "-" + spanA + "-01", ""},
		{"version in capitals", "CC-" + traceA + "-" + spanA + "-01", ""},
		{"version of one digit", "0-" + traceA + "-" + spanA + "-01", ""},
		{"version of three digits", "000-" + traceA + "-" + spanA + "-01", ""},
		{"zero trace", "00-" + strings.Repeat("0", 32) + "-" + spanA + "-01", ""},
		{"zero span", "00-" + traceA + "-" + spanless + "-01", ""},
		{"zero span, higher version", "01-" + traceA + "-" + spanless + "-01", ""},
		{"trace in capitals", "00-" + strings.ToUpper(traceA) + "-" + spanA + "-01", ""},
		{"span in capitals", "00-" + traceA + "-" + strings.ToUpper(spanA) + "-01", ""},
		{"flags in capitals", "00-" + traceA + "-" + spanA + "-0A", ""},
		{"trace with a dot", "00-." + traceA[1:] + "-" + spanA + "-01", ""},
		{"trace too long", "00-" + traceA + "0-" + spanA + "-01", ""},
		{"trace too short", "00-" + traceA[1:] + "-" + spanA + "-01", ""},
		{"span too long", "00-" + traceA + "-" + spanA + "0-01", ""},
		{"flags too short", "00-" + traceA + "-" + spanA + "-1", ""},
		{"flags too long", "00-" + traceA + "-" + spanA + "-001", ""},
		{"underscores", strings.ReplaceAll(parentA, "-", "_"), ""},
		{"blank before", " " + parentA, ""},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ParseTraceContext(c.text, "rojo=00f067aa0ba902b7")
			if ok != (c.want != "") || ok && got.Traceparent() != c.want {
				t.Errorf("%q is %v, %v; want %q", c.text, got.Traceparent(), ok, c.want)
			}
			if ok != (got.State != "") {
				t.Errorf("tracestate %q, valid %v", got.State, ok)
			}
		})
	}
}

// entries returns so many entries of a tracestate, each of a size.
func entries(n, size int) string {
	list := make([]string, n)
	for i := range list {
		key := fmt.Sprintf("k%02d=", i)
		list[i] = key + strings.Repeat("v", size-len(key))
	}
	return strings.Join(list, ",")
}

func TestTracestate(t *testing.T) {
	key256, value256 := strings.Repeat("k", 256), strings.Repeat("v", 256)
	for _, c := range []struct{ name, text, want string }{
		{"one system", "rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"},
		{"two systems", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
		{"from the text", "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7", "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7"},
		{"vendors", "vendorname1=opaqueValue1,vendorname2=opaqueValue2", "vendorname1=opaqueValue1,vendorname2=opaqueValue2"},
		{"tenant", "fw529a3039@dt=FfEAAAABAA", "fw529a3039@dt=FfEAAAABAA"},
		{"digit first", "0a_-*/@=1", "0a_-*/@=1"},
		{"empty", "", ""},
		{"empty entries", "a=1,,b=2,", "a=1,b=2"},
		{"blanks around", " a=1 ,\t b=2\t", "a=1,b=2"},
		{"blanks in front of a value", "a=  1", "a=  1"},
		{"only blanks", "  , ,", ""},
		{"long key", key256 + "=1", key256 + "=1"},
		{"key too long", key256 + "k=1", ""},
		{"long value", "a=" + value256, "a=" + value256},
		{"value too long", "a=" + value256 + "v", ""},
		{"capital", "A=1", ""},
		{"sign first", "_a=1", ""},
		{"no value", "a=", ""},
		{"no key", "=1", ""},
		{"no equals sign", "a", ""},
		{"two equals signs", "a=1=2", ""},
		{"blank in a key", "a b=1", ""},
		{"not ASCII", "a=ä", ""},
		{"newline", "a=\n1", ""},
		{"one bad, one good", "a=1,B=2", ""},
		{"32 entries", entries(32, 10), entries(32, 10)},
		{"33 entries", entries(33, 10), ""},
		{"511 bytes and a comma", entries(4, 127) + ",", entries(4, 127)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := cleanTracestate(c.text); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestTracestate_Cut holds that 512 bytes are kept, and how whole entries go from
// what is longer: those above 128 bytes first, and else the last.
func TestTracestate_Cut(t *testing.T) {
	small := entries(3, 100) // 302 bytes
	large := func(name string, size int) string { return name + "=" + strings.Repeat("v", size-len(name)-1) }
	for _, c := range []struct{ name, text, want string }{
		{"512 bytes", small + "," + large("x", 209), small + "," + large("x", 209)},
		{"513 bytes", small + "," + large("x", 210), small},
		{"the large one goes, in front", large("x", 211) + "," + small, small},
		{"the large one goes, in between", "a=1," + large("x", 210) + "," + small, "a=1," + small},
		{"the last of the large ones goes", large("x", 200) + "," + large("y", 200) + "," + large("z", 200),
			large("x", 200) + "," + large("y", 200)},
		{"128 bytes are not large", entries(3, 100) + "," + large("x", 128) + "," + large("y", 128),
			entries(3, 100) + "," + large("x", 128)},
		{"nor are they if they come first", large("x", 128) + "," + entries(4, 100), large("x", 128) + "," + entries(3, 100)},
		{"only small ones", entries(6, 100), entries(5, 100)},
		{"all are large", large("x", 256) + "," + large("y", 257), large("x", 256)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := cleanTracestate(c.text); got != c.want {
				t.Errorf("%d bytes %q\nof %d, want %d bytes %q", len(got), got, len(c.text), len(c.want), c.want)
			}
		})
	}
}

var (
	parentPattern = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})((?s:-.*)?)$`)
	entryPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$`)
)

// FuzzTraceContext compares the parsers with the recommendation's grammar, as
// regular expressions.
func FuzzTraceContext(f *testing.F) {
	f.Add(parentA, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
	f.Add("cc-"+traceA+"-"+spanA+"-03-x", entries(32, 128))
	f.Add("00-"+traceA+"-"+spanA+"-ff", "a=1")
	f.Add("ff-"+traceA+"-"+spanless+"-01", " a=1 ,,\tb=2 = ,")
	f.Fuzz(func(t *testing.T, parent, state string) {
		c, ok := ParseTraceContext(parent, state)
		m := parentPattern.FindStringSubmatch(parent)
		want := m != nil && m[1] != "ff" && (m[1] != "00" || m[5] == "") &&
			strings.Trim(m[2], "0") != "" && strings.Trim(m[3], "0") != ""
		if ok != want {
			t.Fatalf("%q: %v, want %v", parent, ok, want)
		}
		if !ok {
			if c != (TraceContext{}) {
				t.Fatalf("%q: %v of what is not valid", parent, c)
			}
			return
		}
		flags, _ := hex.DecodeString(m[4])
		if s := fmt.Sprintf("00-%s-%s-%02x", m[2], m[3], flags[0]&3); c.Traceparent() != s || c.Flags != flags[0]&3 {
			t.Fatalf("%q is sent on as %q, want %q", parent, c.Traceparent(), s)
		}
		checkState(t, state, c.State)
	})
}

// checkState checks what became of a tracestate.
func checkState(t *testing.T, state, got string) {
	var all []string
	for entry := range strings.SplitSeq(state, ",") {
		if entry = strings.Trim(entry, " \t"); entry != "" {
			if !entryPattern.MatchString(entry) {
				all = nil
				break
			}
			all = append(all, entry)
		}
	}
	if strings.Join(all, ",") == got && len(got) <= 512 && len(all) <= 32 {
		return
	}
	if len(all) > 32 || all == nil {
		if got != "" {
			t.Fatalf("%q is kept of %q", got, state)
		}
		return
	}
	if len(got) > 512 || len(strings.Join(all, ",")) <= 512 {
		t.Fatalf("%d bytes of %d: %q", len(got), len(strings.Join(all, ",")), got)
	}
	for entry := range strings.SplitSeq(got, ",") { // what is kept is in order
		for entry != "" && len(all) > 0 && all[0] != entry {
			all = all[1:]
		}
		if entry != "" && len(all) == 0 {
			t.Fatalf("%q has %q, which is not in %q", got, entry, state)
		}
	}
}
