package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain makes an agent of this binary when a test has started it again.
func TestMain(m *testing.M) {
	if isAgent() {
		if err := beAgent(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestMeasure carries out a small plan, from the processes to the chart.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	p := plan{rounds: 2, window: 30 * time.Millisecond, warmup: 10 * time.Millisecond, profiles: dir, memoryConns: 20}
	for _, name := range []string{"netrpc", "geerpc", "raw"} {
		lib, err := find(name)
		if err != nil {
			t.Fatal(err)
		}
		p.libs = append(p.libs, lib)
	}
	var err error
	if p.cells, err = parseCells(small+","+kibi, "1,8x2"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "out.json")
	if _, err := p.measure(t.Output(), func(r *results) error { return r.write(path) }); err != nil {
		t.Fatal(err)
	}
	res, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failures) > 0 || len(res.Runs) != 4*2*3 || len(res.Memory) != 2 {
		t.Errorf("%d runs, %d weighed, failures: %q", len(res.Runs), len(res.Memory), res.Failures)
	}
	for _, one := range res.Runs {
		if one.Calls == 0 || one.P50 <= 0 || one.P99 < one.P50 || one.Client.CPUMicros <= 0 || one.Server.CPUMicros <= 0 {
			t.Errorf("a run without figures: %+v", one)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "geerpc-small-8x2-*.prof")); len(found) != 2 {
		t.Errorf("the profiles of geerpc with 8 callers on 2 connections: %q", found)
	}
	var text strings.Builder
	res.report(&text)
	for _, want := range []string{"| callers | 1 | 8 on 2 |", "| netrpc | 1.00 (1.00–1.00) |", "### A connection on the server"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
	wellFormed(t, string(res.chart()))
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the chart is no XML: %v\n%s", err, svg)
		}
	}
}

// TestFailure checks that a library that fails costs the others nothing.
func TestFailure(t *testing.T) {
	p := plan{
		libs:   []library{{name: "nobody"}, netRPC()},
		cells:  []cell{{Work: small, Callers: 1, Conns: 1}},
		rounds: 1, window: 10 * time.Millisecond,
	}
	res, err := p.measure(t.Output(), func(*results) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failures) != 1 || len(res.Runs) != 1 || res.Runs[0].Library != "netrpc" {
		t.Errorf("failures %q, runs %+v", res.Failures, res.Runs)
	}
}

func TestParseCells(t *testing.T) {
	got, err := parseCells("small,1KiB", "1,128x4")
	want := []cell{{small, 1, 1}, {small, 128, 4}, {kibi, 1, 1}, {kibi, 128, 4}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := parseCells(orders+","+mebi, ""); err != nil || !slices.Equal(got, []cell{{orders, 1, 1}, {orders, 16, 1}, {orders, 128, 1}, {mebi, 4, 1}}) {
		t.Errorf("without callers: %v, %v", got, err)
	}
	for _, c := range []struct{ work, callers string }{
		{"large", "1"}, {"small", "0"}, {"small", "4x"}, {"small", "2x4"}, {"small", "1x0"},
	} {
		if got, err := parseCells(c.work, c.callers); err == nil {
			t.Errorf("%q, %q: got %v, want an error", c.work, c.callers, got)
		}
	}
}

// TestGroups checks that calls with a deadline are measured beside those without.
func TestGroups(t *testing.T) {
	cells, err := parseCells("small,small+deadline,1KiB", "1,8")
	if err != nil {
		t.Fatal(err)
	}
	got := plan{cells: cells}.groups()
	want := [][]cell{{{small, 1, 1}, {timed, 1, 1}}, {{small, 8, 1}, {timed, 8, 1}}, {{kibi, 1, 1}}, {{kibi, 8, 1}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := (plan{cells: cells[2:4]}).groups(); len(got) != 2 {
		t.Errorf("alone: %v", got)
	}
}

// TestBuckets checks that each duration is in a bucket that begins at most 3 %
// below it, and that buckets follow each other without a gap.
func TestBuckets(t *testing.T) {
	for i := 1; i < len(histogram{}); i++ {
		if bucket(uint64(low(i))) != i || bucket(uint64(low(i)-1)) != i-1 {
			t.Fatalf("bucket %d begins at %v, which is in %d; before that comes %d", i, low(i), bucket(uint64(low(i))), bucket(uint64(low(i)-1)))
		}
	}
	for d := time.Duration(1); d < time.Minute; d = d*9/8 + 1 {
		if from := low(bucket(uint64(d))); from > d || float64(d-from) > 0.032*float64(d) {
			t.Errorf("%v is in the bucket from %v", d, from)
		}
	}
}

func TestQuantile(t *testing.T) {
	var a, b histogram
	for i := 1; i <= 50; i++ {
		a.add(time.Duration(i) * time.Microsecond)
		b.add(time.Duration(50+i) * time.Microsecond)
	}
	a.merge(&b)
	a.add(time.Hour) // beyond the last bucket
	for _, c := range []struct{ q, want float64 }{{0.5, 51}, {0.9, 91}, {0.99, 100}} {
		if got := micros(a.quantile(c.q)); got < c.want*0.97 || got > c.want*1.03 {
			t.Errorf("quantile %v: %v µs, want about %v", c.q, got, c.want)
		}
	}
	if got := new(histogram).quantile(0.5); got != 0 {
		t.Errorf("the quantile of nothing: %v", got)
	}
}

// TestRatio checks that ratios are taken within rounds, whatever their order.
func TestRatio(t *testing.T) {
	c := cell{small, 1, 1}
	r := results{Runs: []run{
		{cell: c, Library: "netrpc", Round: 0, PerSec: 100},
		{cell: c, Library: "geerpc", Round: 1, PerSec: 600},
		{cell: c, Library: "geerpc", Round: 0, PerSec: 200},
		{cell: c, Library: "netrpc", Round: 1, PerSec: 200},
		{cell: c, Library: "geerpc", Round: 2, PerSec: 900}, // has no pair
	}}
	if got, want := r.ratio(c, "geerpc", "netrpc"), (spread{2, 2.5, 3, 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	r.Runs = append(r.Runs, run{cell: cell{timed, 1, 1}, Library: "geerpc", Round: 1, PerSec: 300})
	if got, want := r.ratioOf(cell{timed, 1, 1}, "geerpc", c, "geerpc"), (spread{0.5, 0.5, 0.5, 1}); got != want {
		t.Errorf("with a deadline: got %+v, want %+v", got, want)
	}
	if got := r.ratio(c, "geerpc", "nobody"); got.n != 0 {
		t.Errorf("against nobody: %+v", got)
	}
}
