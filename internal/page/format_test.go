package page

import (
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ got, want string }{
		{formatCount(0), "0"}, {formatCount(999), "999"}, {formatCount(1000), "1,000"}, {formatCount(int64(1234567)), "1,234,567"},
		{formatCount(-100), "-100"}, {formatCount(-123456), "-123,456"},
		{formatSpan(0), "0.0 s"}, {formatSpan(59.94), "59.9 s"}, {formatSpan(61), "1 min 1 s"}, {formatSpan(3600), "1 h 0 min"}, {formatSpan(100 * 3600), "4 d 4 h"},
		{formatPercent(0, 0), "0.0 %"}, {formatPercent(1, 1_000_000), "< 0.1 %"}, {formatPercent(1, 40), "2.5 %"},
		{formatPercent(3, 3), "100 %"}, {formatPercent(999, 1000), "99.9 %"}, {formatPercent(99999, 100000), "99.9 %"},
		{formatLatency(0), "–"}, {formatLatency(5e-7), "< 1 µs"}, {formatLatency(1.23e-6), "1.2 µs"}, {formatLatency(999.6e-6), "1.0 ms"},
		{formatLatency(0.0123), "12 ms"}, {formatLatency(0.9996), "1.0 s"}, {formatLatency(59), "59 s"}, {formatLatency(61), "1 min 1 s"},
		{formatRate(0), "0"}, {formatRate(0.01), "< 0.1"}, {formatRate(2.34), "2.3"}, {formatRate(12345.6), "12,346"},
		{formatBytes(0), "0 B"}, {formatBytes(999), "999 B"}, {formatBytes(1000), "1.0 kB"}, {formatBytes(999_600), "1.0 MB"}, {formatBytes(5 << 50), "5629 TB"},
		{formatAgo(now, now.Add(-90*time.Second)), "1 min 30 s ago"}, {formatAgo(now, now.Add(time.Second)), "0.0 s ago"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
