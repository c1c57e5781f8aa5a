// Command bench measures geerpc beside other RPC libraries, each with a server
// and a client in processes of their own, over loopback TCP.
//
//	go run . -quick          # everything once, in five minutes, to see that it works
//	go run . -json out.json  # the measurement
//	go run . -report -json out.json -chart out.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

type options struct {
	quick, report, memory bool
	libs, work, callers   string
	rounds, conns         int
	window                time.Duration
	json, chart, profiles string
}

func parseFlags() (options, error) {
	var o options
	var names []string
	for _, l := range libraries() {
		names = append(names, l.name)
	}
	flag.BoolVar(&o.quick, "quick", false, "measure everything once and shortly, unless other flags say more; the figures mean little")
	flag.BoolVar(&o.report, "report", false, "measure nothing: report what the JSON file says")
	flag.BoolVar(&o.memory, "memory", true, "weigh connections")
	flag.StringVar(&o.libs, "libs", strings.Join(names, ","), "which libraries")
	flag.StringVar(&o.work, "work", strings.Join(workNames(), ","), "which work")
	flag.StringVar(&o.callers, "callers", "", "how many callers, and on how many connections if not one, as in 1,16,128x4; empty: what the work is measured with")
	flag.IntVar(&o.rounds, "rounds", 7, "how often each is measured")
	flag.IntVar(&o.conns, "conns", 10_000, "how many connections to weigh")
	flag.DurationVar(&o.window, "window", time.Second, "how long each is measured")
	flag.StringVar(&o.json, "json", "", "the JSON file: written, or with -report read")
	flag.StringVar(&o.chart, "chart", "", "write a chart to this SVG file")
	flag.StringVar(&o.profiles, "cpuprofile", "", "write CPU profiles of both sides to this folder")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("what is %q? All is said by flags", flag.Arg(0))
	}
	if o.rounds < 1 || o.window <= 0 || o.conns < 1 {
		return o, errors.New("-rounds, -window and -conns must be positive")
	}
	if o.quick {
		o.hurry()
	}
	return o, nil
}

// hurry cuts down what no flag has asked for.
func (o *options) hurry() {
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, cut := range map[string]func(){
		"rounds": func() { o.rounds = 1 },
		"conns":  func() { o.conns = 200 },
		"window": func() { o.window = 100 * time.Millisecond },
	} {
		if !given[name] {
			cut()
		}
	}
}

// plan turns options into what to do.
func (o options) plan() (plan, error) {
	// A quarter of the window lets connections, pools and the clock of the
	// processor settle.
	p := plan{rounds: o.rounds, window: o.window, warmup: o.window / 4, profiles: o.profiles}
	var err error
	if p.cells, err = parseCells(o.work, o.callers); err != nil {
		return p, err
	}
	for name := range strings.SplitSeq(o.libs, ",") {
		lib, err := find(name)
		if err != nil {
			return p, err
		}
		p.libs = append(p.libs, lib)
	}
	if o.profiles != "" {
		if err := os.MkdirAll(o.profiles, 0o777); err != nil {
			return p, err
		}
	}
	if o.memory {
		p.memoryConns = o.conns
		return p, raiseFiles(o.conns)
	}
	return p, nil
}

func measureAll(o options) (*results, error) {
	p, err := o.plan()
	if err != nil {
		return nil, err
	}
	return p.measure(os.Stderr, func(r *results) error {
		if o.json == "" {
			return nil
		}
		return r.write(o.json)
	})
}

func command() error {
	o, err := parseFlags()
	if err != nil {
		return err
	}
	var res *results
	switch {
	case !o.report:
		res, err = measureAll(o)
	case o.json == "":
		err = errors.New("-report needs -json: the file to read")
	default:
		res, err = readResults(o.json)
	}
	if err != nil {
		return err
	}
	res.report(os.Stdout)
	if o.chart != "" {
		err = os.WriteFile(o.chart, res.chart(), 0o666)
	}
	if len(res.Failures) > 0 {
		err = errors.Join(err, fmt.Errorf("%d measurements have failed", len(res.Failures)))
	}
	return err
}

func main() {
	do := command
	if isAgent() {
		do = beAgent
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
