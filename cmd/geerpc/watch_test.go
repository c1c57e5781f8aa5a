package main

import (
	"bufio"
	"encoding/json"
	"net"
	"strings"
	"testing"

	"geerpc"
	"geerpc/internal/introspect"
)

func TestWatch(t *testing.T) {
	addr := serve(t, nil, nil)
	geerpcInput(t, "{}\n{\"B\":1}\n", "call", addr, "Arith.Div", "-")
	o := geerpcRun(t, "watch", addr, "-n", "2", "-interval", "20ms")
	if strings.Count(o.out, "METHOD") != 2 || strings.Contains(o.out, "Arith.Add") {
		t.Errorf("the tables are\n%s", o.out)
	}
	for _, want := range []string{addr + "  open, up for ", "0 connections besides this one", "Arith.Div\n"} {
		o.want(t, 0, want, "")
	}
	geerpcRun(t, "watch", addr, "Arith", "-n", "1", "-all").want(t, 0, "Arith.Add\n", "")
	var st introspect.Statistics
	geerpcRun(t, "watch", addr, "-n", "1", "-json").decode(t, &st)
	if len(st.Methods) != 4 || st.Methods[1].Method != "Arith.Div" || st.Methods[1].Calls != 2 || st.Methods[1].Minute.Errors["unknown"] != 1 {
		t.Errorf("%+v", st)
	}
	geerpcRun(t, "watch", addr, "Arit").want(t, exitBadCall, "", "did you mean Arith?")
	geerpcRun(t, "watch", addr, "-interval", "0s").want(t, exitUsage, "", "positive")
	geerpcRun(t, "watch", nobody(t)).want(t, exitUnavailable, "", "is the server running")
	off := serve(t, &geerpc.Server{DisableIntrospection: true}, nil)
	geerpcRun(t, "watch", off).want(t, exitBadCall, "", "DisableIntrospection")
}

// TestWatch_Restart: it goes on when the server has been restarted.
func TestWatch_Restart(t *testing.T) {
	lis := listenTCP(t)
	addr := lis.Addr().String()
	first := geerpc.NewServer()
	served := make(chan error, 2)
	go func() { served <- first.Serve(lis) }() // ends with Close
	cmd := process(t, "watch", addr, "-interval", "10ms", "-json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, said := bufio.NewScanner(out), bufio.NewScanner(log)
	if !lines.Scan() {
		t.Fatal("no statistics")
	}
	first.Close()
	<-served
	if !said.Scan() || !strings.Contains(said.Text(), "trying again") {
		t.Fatalf("it says %q", said.Text())
	}
	go func() { // ends with the process
		for said.Scan() {
		}
	}()
	if lis, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	second := geerpc.NewServer()
	second.Register(Arith{})
	go func() { served <- second.Serve(lis) }() // ends with Close
	for found := false; !found; {
		var st introspect.Statistics
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &st) != nil {
			t.Fatalf("the line is %q", lines.Text())
		}
		found = len(st.Methods) == 4
	}
	cmd.Process.Kill()
	cmd.Wait()
	second.Close()
	<-served
}

// TestWatch_Table: the state, the other connections, and no latency of a method whose calls
// have not ended.
func TestWatch_Table(t *testing.T) {
	w := &watcher{target: &target{given: "host:1"}}
	table := w.table(&introspect.Statistics{State: "draining", UptimeSeconds: 61, Connections: 2,
		Methods: []introspect.MethodStats{{Method: "A.Hang", Calls: 1, InFlight: 1}}})
	for _, want := range []string{"host:1  draining, up for 1m1s, 1 connection besides this one, ", " – "} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing in\n%s", want, table)
		}
	}
	if strings.Contains(table, "0s") {
		t.Errorf("a latency of 0s:\n%s", table)
	}
}

// TestWatch_PerSecond: calls per second are those since the table before, and begin anew
// with a server that has been restarted.
func TestWatch_PerSecond(t *testing.T) {
	stats := func(uptime float64, calls int64) *introspect.Statistics {
		return &introspect.Statistics{UptimeSeconds: uptime, Methods: []introspect.MethodStats{
			{Method: "A.B", Calls: calls, Minute: introspect.Recent{Seconds: 59, Calls: calls}}}}
	}
	w := &watcher{target: new(target)}
	for _, c := range []struct {
		uptime float64
		calls  int64
		want   int64
	}{{100, 590, 10}, {102, 790, 100}, {103, 790, 0}, {2, 10, 5}, {0.1, 7, 7}} {
		st := stats(c.uptime, c.calls)
		if got := w.perSecond(st, st.Methods[0]); got != c.want {
			t.Errorf("after %v s: %d, want %d", c.uptime, got, c.want)
		}
		w.last = st
	}
}

func TestInPlace(t *testing.T) {
	if got := inPlace("a\nb\n"); got != "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J" {
		t.Errorf("%q", got)
	}
}
