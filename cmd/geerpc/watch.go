package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"geerpc"
	"geerpc/internal/introspect"
)

var watchCommand = &command{
	name: "watch", args: "ADDR [Service]", about: "show calls, errors and latencies of a server, live",
	help: `CALLS/S counts the calls since the table before. ERRORS and the percentiles are
those of the last minute. The busiest methods of that minute come first; methods that
were never called are left out. Of a registry's servers one is shown: -server chooses.
watch connects again if the connection is lost.`,
	min: 1, max: 2, define: defineWatch,
}

// A watcher asks a server for its statistics.
type watcher struct {
	*target
	service  string
	interval time.Duration
	all      bool

	client *geerpc.Client         // nil: not connected
	last   *introspect.Statistics // nil: there are none yet
	lastAt time.Time
}

func defineWatch(set *flag.FlagSet) action {
	w := &watcher{target: targetFlags(set)}
	set.DurationVar(&w.interval, "interval", time.Second, "the `time` between two tables")
	set.BoolVar(&w.all, "all", false, "with methods that were never called")
	count := set.Int("n", 0, "how `many` tables are shown; 0: until the command is interrupted")
	asJSON := jsonFlag(set, "print the reply of geerpc.Stats, in JSON, one on each line")
	return func(ctx context.Context, std stdio, args []string) error {
		if w.interval <= 0 || *count < 0 {
			return usagef("-interval must be positive, and -n not negative")
		}
		if err := w.set(args[0]); err != nil {
			return err
		}
		if len(args) > 1 {
			w.service = args[1]
		}
		show := w.showTable
		if *asJSON {
			show = showStats
		}
		return w.watch(ctx, std, *count, show)
	}
}

// watch shows the statistics count times, or until ctx ends. After the first time it goes
// on when the server can't be asked.
func (w *watcher) watch(ctx context.Context, std stdio, count int, show func(io.Writer, *introspect.Statistics) error) error {
	defer w.disconnect()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 1; ; n++ {
		if !sleepUntil(ctx, timer, w.lastAt.Add(w.interval)) {
			return nil
		}
		st, err := w.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			err = show(std.out, st)
			w.last = st
		case w.last != nil && n != count:
			fmt.Fprintf(std.log, "geerpc watch: %v; trying again\n", err)
			err = nil
		}
		if err != nil || n == count {
			return err
		}
	}
}

// look asks for the statistics. If the connection is lost, the next look makes another.
func (w *watcher) look(ctx context.Context) (st *introspect.Statistics, err error) {
	ctx, cancel := w.withTimeout(ctx)
	defer cancel()
	w.lastAt = time.Now()
	if w.client == nil {
		if w.client, err = w.introspect(ctx, w.service); err != nil {
			return nil, err
		}
	}
	st = new(introspect.Statistics)
	if err := w.ask(ctx, w.client, introspect.Stats, w.service, st); err != nil {
		w.disconnect()
		return nil, err
	}
	return st, nil
}

func (w *watcher) disconnect() {
	if w.client != nil {
		w.client.Close()
		w.client = nil
	}
}

func showStats(out io.Writer, st *introspect.Statistics) error {
	return json.NewEncoder(out).Encode(st)
}

// showTable shows the statistics as a table: in a terminal in place of the one before.
func (w *watcher) showTable(out io.Writer, st *introspect.Statistics) error {
	text := w.table(st) + "\n"
	if p, ok := out.(printableWriter); ok && isTerminal(p.to) {
		out, text = p.to, inPlace(printable(text))
	}
	_, err := io.WriteString(out, text)
	return err
}

// inPlace has a terminal show a text in place of what it shows.
func inPlace(text string) string {
	const home, clearLine, clearBelow = "\x1b[H", "\x1b[K\n", "\x1b[J"
	return home + strings.ReplaceAll(text, "\n", clearLine) + clearBelow
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (w *watcher) table(st *introspect.Statistics) string {
	var out strings.Builder
	uptime := time.Duration(st.UptimeSeconds * float64(time.Second)).Truncate(time.Second)
	others := counted(int64(max(st.Connections-1, 0)), "connection", "connections")
	fmt.Fprintf(&out, "%s  %s, up for %v, %s besides this one, %s\n\n", w.whose(), st.State, uptime, others, w.lastAt.Format(time.TimeOnly))
	methods := slices.Clone(st.Methods)
	slices.SortStableFunc(methods, func(a, b introspect.MethodStats) int { return cmp.Compare(b.Minute.Calls, a.Minute.Calls) })
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "CALLS/S\tIN FLIGHT\tERRORS\tP50\tP90\tP99\tP99.9\tCALLS\tALL ERRORS\t  METHOD")
	for _, m := range methods {
		if m.Calls == 0 && !w.all {
			continue
		}
		errors := int64(0)
		for _, n := range m.Minute.Errors {
			errors += n
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\n", grouped(w.perSecond(st, m)), grouped(m.InFlight), grouped(errors),
			latencyText(m.Minute.P50), latencyText(m.Minute.P90), latencyText(m.Minute.P99), latencyText(m.Minute.P999), grouped(m.Calls), grouped(m.Errors), m.Method)
	}
	table.Flush()
	return out.String()
}

// latencyText writes a percentile, or a dash if no call has ended after it ran.
func latencyText(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return short(d)
}

// perSecond returns how many calls of a method have begun in a second, since the table
// before. If there is none, or the server is another one now, it is the last minute's.
func (w *watcher) perSecond(st *introspect.Statistics, m introspect.MethodStats) int64 {
	if w.last != nil && w.last.UptimeSeconds < st.UptimeSeconds {
		for _, before := range w.last.Methods {
			if before.Method == m.Method {
				return int64(float64(m.Calls-before.Calls)/(st.UptimeSeconds-w.last.UptimeSeconds) + 0.5)
			}
		}
	}
	return int64(float64(m.Minute.Calls)/max(min(m.Minute.Seconds, st.UptimeSeconds), 1) + 0.5)
}
