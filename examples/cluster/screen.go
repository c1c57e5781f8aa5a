package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// barWidth is the length of the bar of a server that gets half of the calls.
const barWidth = 10

// A screen is what is seen while the show goes on: a line for each event, and
// one that lives at the bottom of a terminal, or comes once a second if there
// is none.
type screen struct {
	out      io.Writer
	terminal bool
	begin    time.Time

	mu   sync.Mutex // held to print; guards live
	live string     // the line at the bottom
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: out, terminal: terminal, begin: time.Now()}
}

// event tells what happened.
func (s *screen) event(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	fmt.Fprintf(s.out, "%5.1f s  %s\n%s", time.Since(s.begin).Seconds(), fmt.Sprintf(format, a...), s.live)
}

// status replaces the line at the bottom.
func (s *screen) status(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line = fmt.Sprintf("%5.1f s  %s", time.Since(s.begin).Seconds(), line)
	if !s.terminal {
		fmt.Fprintln(s.out, line)
		return
	}
	s.live = line
	fmt.Fprint(s.out, "\r\x1b[K", line)
}

// show shows how the load is shared, until the function that it returns is
// called, which may be called again.
func (s *screen) show(l *load, rate int) func() {
	every := time.Second
	if s.terminal {
		every = time.Second / 4
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ends with the function returned, which waits
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		m := newMeter(l, rate)
		for {
			select {
			case <-ticker.C:
				s.status(m.line())
			case <-stop:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(stop)
		<-stopped
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.live = ""; s.terminal {
			fmt.Fprintln(s.out)
		}
	})
}

// A meter tells how many calls a second there were since it was last asked.
type meter struct {
	load *load
	full float64 // calls a second at which a bar is full
	last map[string]int64
	then time.Time
}

func newMeter(l *load, rate int) *meter {
	return &meter{load: l, full: float64(rate) / 2, last: make(map[string]int64), then: time.Now()}
}

// line returns a bar for each server, and what has failed so far.
func (m *meter) line() string {
	passed := time.Since(m.then).Seconds()
	m.then = time.Now()
	var line strings.Builder
	for _, name := range serverNames {
		count := m.load.served[name].Load()
		rate := float64(count-m.last[name]) / passed
		m.last[name] = count
		fmt.Fprintf(&line, "%s %s %4.0f  ", name, bar(rate/m.full), rate)
	}
	fmt.Fprintf(&line, "calls/s; failed %d", m.load.failed.Load())
	return line.String()
}

// bar returns a bar that is full to a part.
func bar(part float64) string {
	n := min(max(int(part*barWidth+0.5), 0), barWidth)
	return strings.Repeat("█", n) + strings.Repeat("·", barWidth-n)
}
