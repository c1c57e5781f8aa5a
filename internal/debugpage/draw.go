package debugpage

import (
	"fmt"
	"math/bits"
	"strings"
	"time"
)

// The drawings, as the paths of SVG. Their width and height are those of the template's
// viewBox.

// sparkWidth and sparkHeight are the size of a sparkline, barsWidth and barsHeight that
// of a histogram.
const (
	sparkWidth, sparkHeight = 120, 24
	barsWidth, barsHeight   = 130, 24
)

// A Spark is a sparkline of a rate, and of the part of it that has failed.
type Spark struct{ Calls, Errors string }

// spark draws how many calls there were in each slot of a window.
func spark(w *Window) Spark {
	slots := w.stats.Slots
	most := int64(1)
	for _, s := range slots {
		most = max(most, s.Calls)
	}
	calls, errors := make([]float64, len(slots)), make([]float64, len(slots))
	for i, s := range slots {
		calls[i] = float64(s.Calls) / float64(most)
		errors[i] = min(float64(s.Errors)/float64(most), calls[i])
	}
	return Spark{area(calls), area(errors)}
}

// area draws the area beneath values from 0 to 1, "" if all are 0.
func area(values []float64) string {
	var path strings.Builder
	fmt.Fprintf(&path, "M0 %d", sparkHeight)
	any := false
	width := float64(sparkWidth) / float64(len(values))
	for i, v := range values {
		y := sparkHeight - v*(sparkHeight-1)
		if v > 0 {
			any = true
			y = min(y, sparkHeight-1) // one call among many is seen, too
		}
		fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1f", float64(i)*width, y, float64(i+1)*width, y)
	}
	if !any {
		return ""
	}
	fmt.Fprintf(&path, "L%d %dZ", sparkWidth, sparkHeight)
	return path.String()
}

// The axis of a histogram is logarithmic: a bar is for latencies from a power of two to
// the next, from 1 µs to 68 s. The first is for all that is quicker, the last for all that
// is slower.
const octaves = 26

// bars draws how many calls took how long, "" if there were none.
func bars(w *Window) string {
	var heights [octaves]int64
	h := w.stats.Latency
	most := int64(0)
	for i, n := range h.Counts {
		at := min(bits.Len64(uint64(h.Low(i)/time.Microsecond)), octaves-1)
		heights[at] += n
		most = max(most, heights[at])
	}
	if most == 0 {
		return ""
	}
	var path strings.Builder
	const width = float64(barsWidth) / octaves
	for i, n := range heights {
		if n > 0 {
			height := max(float64(n)/float64(most)*barsHeight, 1)
			fmt.Fprintf(&path, "M%.1f %dv-%.1fh%.1fv%.1fZ", float64(i)*width, barsHeight, height, width-1, height)
		}
	}
	return path.String()
}
