package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A report is what became of the calls under each protection.
type report struct {
	capacity float64 // calls a second
	length   time.Duration
	outcomes []*outcome
}

// share returns how much of what the server can do was answered in time.
func (r *report) share(o *outcome) float64 {
	return float64(o.goodCalls()) / (r.capacity * r.length.Seconds())
}

func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %12s %12s %10s %10s %10s %10s\n", "protected by", "in time/s", "of capacity", "refused/s", "late/s", "p50", "p99")
	for _, o := range r.outcomes {
		perSecond := func(n int) float64 { return float64(n) / r.length.Seconds() }
		fmt.Fprintf(&b, "%-12s %12.0f %10.0f %% %10.0f %10.0f %10v %10v\n", o.name, perSecond(o.goodCalls()), 100*r.share(o),
			perSecond(o.refused), perSecond(o.late), o.quantile(0.5).Round(100*time.Microsecond), o.quantile(0.99).Round(100*time.Microsecond))
	}
	b.WriteString("p50 and p99 are how long callers waited that were not refused.\n")
	return b.String()
}

// shortest is how long a run takes that has to meet the aim. In a shorter one the
// first moment, in which no queue has built up, and what else the machine does
// count for more.
const shortest = 5 * time.Second

// check reports whether protection did what it is for.
func (r *report) check() error {
	least, most := 0.9, 0.1
	if r.length < shortest {
		least, most = 0.4, 0.35
	}
	for _, o := range r.outcomes {
		share := r.share(o)
		if o.intercept != nil && share < least {
			return fmt.Errorf("with %s %.0f %% of the capacity was answered in time, want %.0f %%", o.name, 100*share, 100*least)
		}
		if o.intercept == nil && share > most {
			return fmt.Errorf("without protection %.0f %% of the capacity was answered in time: that was no overload", 100*share)
		}
	}
	return nil
}

// The picture.
const (
	chartWidth, chartHeight = 640, 300
	left, right, top, below = 60, 110, 40, 40
)

// chart returns an SVG drawing: calls answered in time, by the time at which they
// arrived.
func (r *report) chart() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", chartWidth, chartHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">Calls answered in time, when twice as many arrive as the server can do</text>`+"\n", left)
	for _, line := range []struct {
		share float64
		text  string
	}{{0, "0"}, {1, "capacity"}, {2, "arrivals"}} {
		y := r.y(line.share)
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#9aa5b1" stroke-dasharray="4 3"/>`+"\n", left, chartWidth-right, y, y)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end" fill="#5c6773">%s</text>`+"\n", left-6, y+4, line.text)
	}
	labels := newLabels()
	for _, o := range r.outcomes {
		r.drawOutcome(&b, o, labels)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#5c6773">%.0f s</text>`+"\n</svg>\n", chartWidth-right, chartHeight-below+18, r.length.Seconds())
	return b.Bytes()
}

func (r *report) y(share float64) float64 {
	return float64(chartHeight-below) - share/2.2*float64(chartHeight-below-top)
}

// drawOutcome draws a line, and its name at its end.
func (r *report) drawOutcome(b *bytes.Buffer, o *outcome, place func(y float64) float64) {
	whole := max(int(r.length/slice), 1) // the last slice may be a part of one
	var points []string
	y := r.y(0)
	for i, n := range o.good[:min(whole, len(o.good))] {
		x := left + (float64(i)+0.5)/float64(whole)*(chartWidth-left-right)
		y = r.y(float64(n) / (r.capacity * slice.Seconds()))
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
	}
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", o.colour, strings.Join(points, " "))
	fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="%s">%s</text>`+"\n", chartWidth-right+8, place(y)+4, o.colour, o.name)
}

// newLabels returns a function that moves labels down which would lie on others.
func newLabels() func(y float64) float64 {
	var taken []float64
	return func(y float64) float64 {
		for _, other := range taken {
			if y-other < 15 && other-y < 15 {
				y = other + 15
			}
		}
		taken = append(taken, y)
		return y
	}
}
