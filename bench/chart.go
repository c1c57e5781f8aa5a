package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The chart has a panel for each work and number of callers, and in it a bar for each
// library: calls/s as a multiple of net/rpc.
const (
	panelWidth  = 250
	labelWidth  = 92
	numberWidth = 40
	barHeight   = 13
	rowHeight   = 17
	panelGap    = 18
	chartHead   = 58
	panelHead   = 22
	panelsWide  = 3
)

// Colours: ours stands out, the limit steps back.
const (
	colourOurs  = "#1b6ac9"
	colourOther = "#9aa5b1"
	colourBase  = "#5c6773"
	colourLimit = "#e3d5b8"
)

type bar struct {
	library string
	value   float64
}

// chart returns an SVG drawing of what is compared.
func (r *results) chart() []byte {
	cells := r.comparedCells()
	rows := (len(cells) + panelsWide - 1) / panelsWide
	panelHeight := panelHead + len(r.Libraries)*rowHeight
	width := panelGap + min(len(cells), panelsWide)*(panelWidth+panelGap)
	height := chartHead + rows*(panelHeight+panelGap)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11" fill="#222">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="15" font-weight="bold">Calls per second, as a multiple of net/rpc</text>`+"\n", panelGap)
	fmt.Fprintf(&b, `<text x="%d" y="42" fill="#555">One connection over loopback, %d CPUs, %s; raw is the limit, its bars are cut off</text>`+"\n", panelGap, r.CPUs, r.GoVersion)
	for i, c := range cells {
		x := panelGap + i%panelsWide*(panelWidth+panelGap)
		y := chartHead + i/panelsWide*(panelHeight+panelGap)
		r.drawPanel(&b, c, x, y)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (r *results) drawPanel(b *bytes.Buffer, c cell, x, y int) {
	var bars []bar
	longest := 0.0 // of the libraries: the limit must not make them tiny
	for _, lib := range r.Libraries {
		s := r.ratio(c, lib, base)
		if s.n == 0 {
			continue
		}
		bars = append(bars, bar{lib, s.median})
		if !isLimit(lib) {
			longest = max(longest, s.median)
		}
	}
	slices.SortStableFunc(bars, func(a, b bar) int { return cmp.Compare(b.value, a.value) })
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="12" font-weight="bold">%s</text>`+"\n", x, y+12, panelTitle(c))
	for i, one := range bars {
		drawBar(b, one, longest, x, y+panelHead+i*rowHeight)
	}
}

// isLimit tells whether a library does nothing but echo.
func isLimit(library string) bool { return strings.HasPrefix(library, "raw") }

func panelTitle(c cell) string {
	what := map[string]string{small: "two integers", orders: "an order", kibi64: "64 KiB", mebi: "1 MiB"}[c.Work]
	if what == "" {
		what = c.Work
	}
	callers := "callers"
	if c.Callers == 1 {
		callers = "caller"
	}
	return fmt.Sprintf("%s, %s %s", what, thousands(float64(c.Callers)), callers)
}

func drawBar(b *bytes.Buffer, one bar, longest float64, x, y int) {
	const room = panelWidth - labelWidth - numberWidth
	length := max(1, int(min(one.value/max(longest, 1e-9), 1)*room))
	fill, weight := colourOther, "normal"
	switch {
	case strings.HasPrefix(one.library, "geerpc"):
		fill, weight = colourOurs, "bold"
	case one.library == base:
		fill = colourBase
	case isLimit(one.library):
		fill = colourLimit
	}
	text := y + barHeight - 3
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" font-weight="%s">%s</text>`, x+labelWidth-6, text, weight, one.library)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`, x+labelWidth, y, length, barHeight, fill)
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="%s">%.2f</text>`+"\n", x+labelWidth+length+4, text, weight, one.value)
}
