package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// patience is how long the demo waits for a line, or for something else to happen.
const patience = 20 * time.Second

// A logbook is an io.Writer that keeps the lines of a structured log, so that one can
// wait for a line.
type logbook struct {
	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	rest    []byte // the start of a line
	lines   []line
	bad     error // the first line that is not JSON
	ended   bool
}

// A line is what a line of the log says.
type line map[string]any

func newLogbook() *logbook {
	b := new(logbook)
	b.changed = sync.NewCond(&b.mu)
	return b
}

// Write takes any piece of the log.
func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest = append(b.rest, p...)
	for {
		text, rest, whole := bytes.Cut(b.rest, []byte("\n"))
		if !whole {
			break
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil && b.bad == nil {
			b.bad = fmt.Errorf("the log has a line that is not JSON: %s", text)
		}
		b.lines, b.rest = append(b.lines, l), rest
	}
	b.changed.Broadcast()
	return len(p), nil
}

// end says that nothing follows.
func (b *logbook) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
}

// find waits for a line with these attributes, which come in pairs, as for a Logger. It
// fails if the log ends before, or has a line that is not JSON.
func (b *logbook) find(ctx context.Context, attributes ...any) (line, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, b.wake)
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 0; ; i++ {
		for i == len(b.lines) && b.bad == nil && !b.ended && ctx.Err() == nil {
			b.changed.Wait()
		}
		switch {
		case b.bad != nil:
			return nil, b.bad
		case i == len(b.lines):
			return nil, fmt.Errorf("the log has no line with %v; the last of %d is %v", attributes, i, b.last())
		case b.lines[i].has(attributes):
			return b.lines[i], nil
		}
	}
}

// wake has find look at its context.
func (b *logbook) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changed.Broadcast()
}

func (b *logbook) last() line {
	if len(b.lines) == 0 {
		return nil
	}
	return b.lines[len(b.lines)-1]
}

func (l line) has(attributes []any) bool {
	for i := 0; i < len(attributes); i += 2 {
		if l[attributes[i].(string)] != attributes[i+1] {
			return false
		}
	}
	return true
}

// text returns an attribute.
func (l line) text(name string) string {
	text, _ := l[name].(string)
	return text
}
