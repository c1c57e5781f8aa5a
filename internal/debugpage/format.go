package debugpage

import (
	"fmt"
	"time"

	"geerpc/internal/page"
)

// formatPercent formats part/whole. It says 0 % only of nothing, and 100 % only of
// everything.
func formatPercent(part, whole int64) string {
	percent := 100 * float64(part) / float64(max(whole, 1))
	switch {
	case part > 0 && part >= whole:
		return "100 %"
	case part > 0 && percent < 0.1:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", min(percent, 99.9))
}

// formatLatency formats a time in seconds with two digits that count; – is for none.
func formatLatency(seconds float64) string {
	switch {
	case seconds == 0:
		return "–"
	case seconds < 1e-6:
		return "< 1 µs"
	case seconds < 999.5e-6:
		return digits(seconds*1e6) + " µs"
	case seconds < 0.9995:
		return digits(seconds*1e3) + " ms"
	case seconds < 60:
		return digits(seconds) + " s"
	}
	return page.FormatSpan(seconds)
}

func digits(x float64) string {
	if x < 9.95 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

// formatRate formats calls per second.
func formatRate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 0.05:
		return "< 0.1"
	case perSecond < 9.95:
		return fmt.Sprintf("%.1f", perSecond)
	}
	return page.FormatCount(int64(perSecond + 0.5))
}

func formatBytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	x := float64(n) / unit
	for _, name := range []string{"kB", "MB", "GB", "TB"} {
		if x < 999.5 || name == "TB" {
			return digits(x) + " " + name
		}
		x /= unit
	}
	return ""
}

// formatAgo formats how long before now something was.
func formatAgo(now, at time.Time) string {
	return page.FormatSpan(max(0, now.Sub(at).Seconds())) + " ago"
}
