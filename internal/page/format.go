package page

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// formats are the functions of all templates.
var formats = map[string]any{
	"count": formatCount, "span": formatSpan, "latency": formatLatency, "rate": formatRate, "bytes": formatBytes,
	"percent": formatPercent, "share": formatShare, "ago": formatAgo, "utc": formatUTC, "clock": formatClock, "line": oneLine, "lines": lines,
	"cut": cut, "more": more,
}

// formatCount writes an integer, of any type, with its thousands apart:
// 1,234,567.
func formatCount(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatSpan writes a time in the two units that matter: 3 d 4 h.
func formatSpan(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%d d %d h", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

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

// formatShare formats a part of 1.
func formatShare(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

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
	return formatSpan(seconds)
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
	return formatCount(int64(perSecond + 0.5))
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
	return formatSpan(max(0, now.Sub(at).Seconds())) + " ago"
}

func formatUTC(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func formatClock(t time.Time) string { return t.UTC().Format("15:04:05") }

// lines returns a text of several lines without what would move a terminal's cursor.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i := range parts {
		parts[i] = oneLine(parts[i])
	}
	return strings.Join(parts, "\n")
}

// oneLine returns a text without what would move a terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '�'
		}
		return r
	}, s)
}
