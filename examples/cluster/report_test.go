package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"geerpc"
)

// failure returns an error of which is known whether the method ran.
func failure(ran geerpc.Ran) error {
	return &geerpc.Error{Code: geerpc.CodeUnavailable, Message: "gone", Ran: ran}
}

// TestPromise breaks each part of the promise.
func TestPromise(t *testing.T) {
	const price, place = false, true
	for _, c := range []struct {
		name   string
		phase  string
		placed bool
		err    error
		runs   int
		want   string // in the error; "" for none
	}{
		{"an order ran once", calm, place, nil, 1, ""},
		{"an order was lost", calm, place, nil, 0, "told wrongly"},
		{"an order ran twice", calm, place, nil, 2, "1 orders ran twice"},
		{"a price was told", kill, price, nil, 0, ""},
		{"a price failed", kill, price, failure(geerpc.RanMaybe), 0, "1 idempotent calls failed, the first with gone"},
		{"an order failed in the kill, and ran", kill, place, failure(geerpc.RanMaybe), 1, ""},
		{"an order failed in the kill, and did not run", kill, place, failure(geerpc.RanMaybe), 0, ""},
		{"an order failed in the kill, and ran twice", kill, place, failure(geerpc.RanMaybe), 2, "kill: 1 orders ran twice"},
		{"an order failed in the kill without need", kill, place, failure(geerpc.RanNever), 0, "known whether they ran"},
		{"an order never ran, but did", kill, place, failure(geerpc.RanNever), 1, "told wrongly"},
		{"an error of another kind", kill, place, fmt.Errorf("odd"), 1, ""},
		{"an order failed in the drain", drain, place, failure(geerpc.RanMaybe), 0, "drain: 1 calls failed that are not idempotent"},
		{"an order failed in the restart", restart, place, failure(geerpc.RanNever), 0, "registry restart: 1 calls failed"},
		{"an order failed in the calm", calm, place, failure(geerpc.RanMaybe), 0, "calm: 1 calls failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			r := report{
				end:     begin.Add(time.Second),
				records: []record{{id: 7, placed: c.placed, end: begin.Add(time.Millisecond), err: c.err}},
				runs:    map[int]int{7: c.runs},
			}
			r.begin(c.phase, begin)
			err := r.promise()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the promise: %v, want %q", err, c.want)
			}
		})
	}
}

// TestNoCalls: a promise about nothing is not kept.
func TestNoCalls(t *testing.T) {
	var r report
	r.begin(calm, time.Now())
	if err := r.promise(); err == nil || !strings.Contains(err.Error(), "no calls") {
		t.Error(err)
	}
}

// TestTallies puts calls into the phases in which they ended.
func TestTallies(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	r := report{end: at(200)}
	r.begin(calm, at(0))
	r.begin(kill, at(100))
	for ms := 190; ms > 0; ms -= 10 { // in no order
		took := time.Duration(ms) * time.Millisecond
		if ms < 130 || ms > 160 {
			r.records = append(r.records, record{end: at(ms), took: took})
		} else {
			r.records = append(r.records, record{end: at(ms), took: took, err: failure(geerpc.RanMaybe)})
		}
	}
	const want = "" +
		"calm                   9           0       0          0       0   50.0 ms   90.0 ms   10.0 ms\n" +
		"kill                  10           4       0          0       0  140.0 ms  190.0 ms   50.0 ms\n"
	if got := r.table(); !strings.HasSuffix(got, "gap\n"+want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestReadLogs adds up what several servers have written.
func TestReadLogs(t *testing.T) {
	dir := t.TempDir()
	for n, text := range []string{"1\n2\n", "", "3\n2\n"} {
		if err := os.WriteFile(logName(dir, n), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := readLogs(dir)
	if err != nil || fmt.Sprint(runs) != "map[1:1 2:2 3:1]" {
		t.Errorf("%v, %v", runs, err)
	}
	if err := os.WriteFile(logName(dir, 0), []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readLogs(dir); err == nil {
		t.Error("nonsense was read as an order")
	}
}
