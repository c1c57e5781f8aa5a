package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc"
)

var (
	_ http.Handler = (*Metrics)(nil)
	_ expvar.Var   = (*Metrics)(nil)
)

// samples reads Prometheus' text: values by metric and labels, without those
// that all have.
func samples(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	var text strings.Builder
	if err := m.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for line := range strings.Lines(text.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		key := strings.Replace(line[:at], `otel_scope_name="geerpc/middleware",`, "", 1)
		key = strings.Replace(key, `rpc_system_name="geerpc",`, "", 1)
		if _, twice := got[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		got[key] = value
	}
	return got
}

// wantSamples checks some of the samples.
func wantSamples(t testing.TB, m *Metrics, want map[string]float64) {
	t.Helper()
	got := samples(t, m)
	for key, value := range want {
		if v, ok := got[key]; !ok || v != value {
			t.Errorf("%s is %v (there: %v), want %v", key, v, ok, value)
		}
	}
}

func TestMetrics_Calls(t *testing.T) {
	m := new(Metrics)
	c := dialEcho(t, Echo{geerpc.Errorf(geerpc.CodeAborted, "no")}, []geerpc.Interceptor{m.Server}, m.Client)
	for range 3 {
		c.Call(t.Context(), "Echo.Say", "", new(string))
	}
	c.Call(t.Context(), "Echo.Shout", "", new(string))
	wantSamples(t, m, map[string]float64{
		`rpc_server_call_duration_seconds_count{rpc_method="Echo.Say",rpc_status_code="ABORTED",error_type="ABORTED"}`:       3,
		`rpc_client_call_duration_seconds_count{rpc_method="Echo.Say",rpc_status_code="ABORTED",error_type="ABORTED"}`:       3,
		`rpc_server_call_duration_seconds_count{rpc_method="_OTHER",rpc_status_code="NOT_FOUND",error_type="NOT_FOUND"}`:     1,
		`rpc_client_call_duration_seconds_count{rpc_method="Echo.Shout",rpc_status_code="NOT_FOUND",error_type="NOT_FOUND"}`: 1,
		`geerpc_server_calls_in_flight{rpc_method="Echo.Say"}`:                                                               0,
		`geerpc_client_calls_in_flight{rpc_method="Echo.Say"}`:                                                               0,
	})
}

// TestMetrics_Buckets holds that a bucket has its upper bound in it, and that
// sums are right.
func TestMetrics_Buckets(t *testing.T) {
	les := strings.Fields("0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf")
	for i, le := range les {
		synctest.Test(t, func(t *testing.T) {
			var m Metrics
			d := time.Minute
			if i < len(les)-1 {
				seconds, _ := strconv.ParseFloat(le, 64)
				d = time.Duration(seconds * 1e9)
			}
			m.Server(takes(d))(t.Context(), "A.B", nil, nil)
			m.Server(takes(d+1))(t.Context(), "A.B", nil, nil)
			want := map[string]float64{
				`rpc_server_call_duration_seconds_sum{rpc_method="A.B",rpc_status_code="OK"}`:   2 * d.Seconds(),
				`rpc_server_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="OK"}`: 2,
			}
			for j, le := range les {
				n := 0.0
				switch {
				case j == len(les)-1 || j > i:
					n = 2
				case j == i:
					n = 1
				}
				want[`rpc_server_call_duration_seconds_bucket{rpc_method="A.B",rpc_status_code="OK",le="`+le+`"}`] = n
			}
			wantSamples(t, &m, want)
		})
	}
}

// TestMetrics_Sum holds that the sum of many short calls does not drift.
func TestMetrics_Sum(t *testing.T) {
	var h histogram
	exact := time.Duration(0)
	for d := range 100_000 * time.Nanosecond {
		h.observe(d)
		exact += d
	}
	if got := h.seconds() / exact.Seconds(); got < 0.9999 || got > 1.0001 {
		t.Errorf("%v of the sum", got)
	}
}

func TestMetrics_KnownAtZero(t *testing.T) {
	m := &Metrics{ServerMethods: []string{"A.B"}, ClientMethods: []string{"C.D"}}
	want := make(map[string]float64)
	for side, method := range map[string]string{"server": "A.B", "client": "C.D"} {
		want[`geerpc_`+side+`_calls_in_flight{rpc_method="`+method+`"}`] = 0
		want[`rpc_`+side+`_call_duration_seconds_count{rpc_method="`+method+`",rpc_status_code="OK"}`] = 0
		want[`rpc_`+side+`_call_duration_seconds_sum{rpc_method="`+method+`",rpc_status_code="OK"}`] = 0
		for _, s := range []string{"UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE"} {
			want[`rpc_`+side+`_call_duration_seconds_bucket{rpc_method="`+method+`",rpc_status_code="`+s+`",error_type="`+s+
				`",le="+Inf"}`] = 0
		}
	}
	wantSamples(t, m, want)
	if n, want := len(samples(t, m)), 2*(1+6*17); n != want {
		t.Errorf("%d samples, want %d", n, want)
	}
	few := &Metrics{ServerMethods: []string{"A.B"}, Codes: []geerpc.Code{}}
	if n := len(samples(t, few)); n != 1+17 {
		t.Errorf("%d samples without codes", n)
	}
}

// TestMetrics_Panics holds that a call which panics, or ends its goroutine, is
// counted, and no longer in flight.
func TestMetrics_Panics(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("oh") }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var m Metrics
			f := m.Server(func(context.Context, string, any, any) error {
				if n := samples(t, &m)[`geerpc_server_calls_in_flight{rpc_method="A.B"}`]; n != 1 {
					t.Errorf("%v calls in flight", n)
				}
				end()
				return nil
			})
			done := make(chan struct{})
			go func() { // ends at once
				defer close(done)
				defer func() { recover() }()
				f(t.Context(), "A.B", nil, nil)
			}()
			<-done
			wantSamples(t, &m, map[string]float64{
				`geerpc_server_calls_in_flight{rpc_method="A.B"}`:                                                           0,
				`rpc_server_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="INTERNAL",error_type="INTERNAL"}`: 1,
			})
		})
	}
}

func TestMetrics_Refusals(t *testing.T) {
	var m Metrics
	limit := &RateLimit{Calls: 1, Per: time.Hour}
	f := m.Client(limit.Intercept(works))
	admit := m.Admit(limit.Admit)
	for range 3 {
		f(t.Context(), "A.B", nil, nil)
		admit(t.Context(), "A.B")
	}
	wantSamples(t, &m, map[string]float64{
		`geerpc_client_calls_refused_total{by="rate limit",reason="no token left"}`: 2,
		`geerpc_server_calls_refused_total{by="rate limit",reason="no token left"}`: 3,
	})
}

// TestMetrics_OddErrors holds that each error counts as one, whatever it says.
func TestMetrics_OddErrors(t *testing.T) {
	var m Metrics
	for _, err := range []error{io.EOF, &geerpc.Error{}, (*geerpc.Error)(nil), &geerpc.Error{Code: 200}, (*Refusal)(nil)} {
		m.Server(ended(err))(t.Context(), "A.B", nil, nil)
	}
	wantSamples(t, &m, map[string]float64{
		`rpc_server_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="UNKNOWN",error_type="UNKNOWN"}`: 4,
		`rpc_server_call_duration_seconds_count{rpc_method="A.B",rpc_status_code="_OTHER",error_type="_OTHER"}`:   1,
	})
}

// TestC17_MetricLabels holds that nobody can make up names in the metrics: not
// the peers of a server, and not more than so many those of a client.
func TestC17_MetricLabels(t *testing.T) {
	m := &Metrics{MaxMethods: 20, ClientMethods: []string{"Echo.Say"}}
	c := dialEcho(t, Echo{}, []geerpc.Interceptor{m.Server}, m.Client)
	made := func(i int) string { return fmt.Sprintf("Made.Up%d", i) }
	for i := range 500 {
		c.Call(t.Context(), made(i), "", nil)
	}
	c.Call(t.Context(), strings.Repeat("x", 1<<20)+".Y", "", nil)
	c.Call(t.Context(), "not.\xffUTF8", "", nil)
	c.Call(t.Context(), "Echo.Say", "", new(string))
	for i := range 500 {
		refusal := Refusal{By: "made up", Reason: strconv.Itoa(i)}
		m.Server(ended(refusal.refused(geerpc.CodeAborted)))(t.Context(), geerpc.UnknownMethod, nil, nil)
	}
	methods := make(map[string]int)
	refusals, refused := 0, 0.0
	for key, value := range samples(t, m) {
		name, rest, _ := strings.Cut(key, "{")
		switch name {
		case "geerpc_server_calls_in_flight", "geerpc_client_calls_in_flight":
			methods[name]++
		case "geerpc_server_calls_refused_total":
			refusals++
			refused += value
		}
		if len(rest) > 300 {
			t.Errorf("labels of %d bytes", len(rest))
		}
	}
	if methods["geerpc_server_calls_in_flight"] != 2 { // Echo.Say and _OTHER
		t.Errorf("%d methods on the server", methods["geerpc_server_calls_in_flight"])
	}
	if methods["geerpc_client_calls_in_flight"] != 1+20+1 {
		t.Errorf("%d methods on the client", methods["geerpc_client_calls_in_flight"])
	}
	if refusals != maxRefusals+1 || refused != 500 {
		t.Errorf("%d kinds of %v refusals", refusals, refused)
	}
	wantSamples(t, m, map[string]float64{
		`rpc_client_call_duration_seconds_count{rpc_method="_OTHER",rpc_status_code="NOT_FOUND",error_type="NOT_FOUND"}`: 482,
		`rpc_server_call_duration_seconds_count{rpc_method="_OTHER",rpc_status_code="NOT_FOUND",error_type="NOT_FOUND"}`: 502,
	})
}

func TestMetrics_HTTP(t *testing.T) {
	m := &Metrics{ServerMethods: []string{"A.B"}}
	for _, method := range []string{"GET", "HEAD", "POST"} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(method, "/metrics", nil))
		switch {
		case method == "POST":
			if w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d", method, w.Code)
			}
		case w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8":
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		case (w.Body.Len() > 0) != (method == "GET"):
			t.Errorf("%s: %d bytes", method, w.Body.Len())
		}
	}
}

func TestMetrics_Var(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Metrics
		if m.String() != "{}" {
			t.Errorf("%s before the first call", &m)
		}
		m.Server(takes(time.Second))(t.Context(), "A.B", nil, nil)
		m.Server(ended(Refusal{By: "shed", Reason: "late"}.refused(geerpc.CodeResourceExhausted)))(t.Context(), "A.B", nil, nil)
		var got map[string]sideVar
		if err := json.Unmarshal([]byte(m.String()), &got); err != nil {
			t.Fatal(err)
		}
		s := got["server"]
		v := s.Methods["A.B"]
		if len(got) != 1 || v.Calls != 2 || v.Errors["RESOURCE_EXHAUSTED"] != 1 || len(v.Errors) != 1 || v.Seconds != 1 ||
			v.Within["0.005"] != 1 || v.Within["1"] != 2 || v.Within["+Inf"] != 2 || v.InFlight != 0 {
			t.Errorf("%s", &m)
		}
		if !slices.Equal(s.Refusals, []refusalVar{{"shed", "late", 1}}) {
			t.Errorf("%v", s.Refusals)
		}
	})
}

// TestMetrics_Promtool has Prometheus' own tool read the text. It is in Debian's
// package prometheus.
func TestMetrics_Promtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	m := &Metrics{ServerMethods: []string{"A.B", `odd "quotes" \ and` + "\n lines, {äöü}"}}
	for code := geerpc.CodeOK; code <= geerpc.CodeUnauthenticated+1; code++ {
		var err error
		if code != geerpc.CodeOK {
			err = Refusal{By: code.String(), Reason: `a "reason"`}.refused(code)
		}
		m.Server(ended(err))(t.Context(), "A.B", nil, nil)
		m.Client(ended(err))(t.Context(), "C.D", nil, nil)
	}
	var text bytes.Buffer
	m.WriteText(&text)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = &text
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
