package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"geerpc"
	"geerpc/middleware"
)

func (d *demo) processes() error {
	client, err := command(d.ctx, d.token, "client", "-dir", d.dir, "-addr", d.server.addr)
	if err != nil {
		return err
	}
	var log bytes.Buffer
	client.Stderr = &log
	dish, err := client.Output()
	if err != nil || string(dish) != "soup\n" {
		return fmt.Errorf("the client prints %q, %v, and logs %s", dish, err, &log)
	}
	d.say("the server", "serves at %s", d.server.addr)
	d.say("the client", "gets %s", bytes.TrimSpace(dish))
	return nil
}

func (d *demo) tls() error {
	trusting, err := (&geerpc.TLSFiles{CAFile: filepath.Join(d.dir, "ca.pem")}).Client()
	if err != nil {
		return err
	}
	err = d.dial(nil)
	if err := d.sayRefused("no TLS", err, geerpc.CodeUnavailable, ""); err != nil {
		return err
	}
	err = d.dial(trusting)
	if err := d.sayRefused("no certificate", err, geerpc.CodeUnauthenticated, "certificate"); err != nil {
		return err
	}
	strangers := filepath.Join(filepath.Dir(d.dir), "strangers")
	if _, err := newCerts(strangers); err != nil {
		return err
	}
	err = d.cookOnce(strangers, d.token)
	if err := d.sayRefused("an unknown server", err, geerpc.CodeUnauthenticated, "unknown authority"); err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(d.dir, "ca.pem"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(strangers, "ca.pem"), ca, 0o600); err != nil {
		return err
	}
	err = d.cookOnce(strangers, d.token)
	return d.sayRefused("an unknown client", err, geerpc.CodeUnauthenticated, "certificate")
}

// dial only connects.
func (d *demo) dial(config *tls.Config) error {
	client, err := geerpc.DialContext(d.ctx, "tcp", d.server.addr, &geerpc.Option{TLSConfig: config})
	if err == nil {
		client.Close()
	}
	return err
}

func (d *demo) renewal() error {
	before, err := d.serial()
	if err != nil {
		return err
	}
	client, _, err := d.client(d.dir, d.token)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := d.cook(client, 0); err != nil {
		return err
	}
	if err := d.authority.issue(d.dir, "server", x509.ExtKeyUsageServerAuth); err != nil {
		return err
	}
	var after string
	err = until(d.ctx, "a new certificate", func() (bool, error) {
		after, err = d.serial()
		return after != before, err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(d.cook(client, 0), d.cookOnce(d.dir, d.token)); err != nil {
		return err
	}
	d.say("the server's", "was number %s and is %s", before, after)
	d.say("clients", "go on, and new ones connect")
	return nil
}

// serial returns the number of the server's certificate.
func (d *demo) serial() (string, error) {
	files := &geerpc.TLSFiles{CertFile: filepath.Join(d.dir, "client.pem"), KeyFile: filepath.Join(d.dir, "client.key"),
		CAFile: filepath.Join(d.dir, "ca.pem")}
	config, err := files.Client()
	if err != nil {
		return "", err
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(d.ctx, "tcp", d.server.addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (d *demo) tokens() error {
	err := d.cookOnce(d.dir, "")
	if err := d.sayRefused("no token", err, geerpc.CodeUnauthenticated, "authorize"); err != nil {
		return err
	}
	err = d.cookOnce(d.dir, "guess")
	return d.sayRefused("a wrong token", err, geerpc.CodeUnauthenticated, "authorize")
}

func (d *demo) traces() error {
	client, log, err := d.client(d.dir, d.token)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := d.cook(client, 0); err != nil {
		return err
	}
	atClient, err := log.find(d.ctx, "msg", "span", "name", "Kitchen.Cook", "server", false, "status", "OK")
	if err != nil {
		return err
	}
	traceID, spanID := atClient.text("trace_id"), atClient.text("span_id")
	if len(traceID) != 32 || len(spanID) != 16 {
		return fmt.Errorf("ids are %q and %q", traceID, spanID)
	}
	atServer, err := d.server.log.find(d.ctx, "msg", "span", "server", true, "trace_id", traceID, "parent_id", spanID)
	if err != nil {
		return err
	}
	if _, err := log.find(d.ctx, "msg", "rpc client: call", "code", "ok", "trace_id", traceID); err != nil {
		return err
	}
	call, err := d.server.log.find(d.ctx, "msg", "rpc server: call", "code", "ok", "trace_id", traceID)
	if err != nil {
		return err
	}
	d.say("the client's span", "trace_id %s, span_id %s", traceID, spanID)
	d.say("the server's span", "trace_id %s, parent_id %s", atServer.text("trace_id"), atServer.text("parent_id"))
	d.say("the server's log", "method %s, code %s, trace_id %s", call["method"], call["code"], call["trace_id"])
	return nil
}

func (d *demo) metrics() error {
	before, err := d.counts()
	if err != nil {
		return err
	}
	for range 3 {
		if err := d.cookOnce(d.dir, d.token); err != nil {
			return err
		}
	}
	if d.cookOnce(d.dir, "guess") == nil {
		return errors.New("a guess is taken for the token")
	}
	after, err := d.counts()
	if err != nil {
		return err
	}
	if after.done != before.done+3 || after.refused != before.refused+1 {
		return fmt.Errorf("after 3 good calls and a bad one the metrics go from %v to %v", before, after)
	}
	d.say("3 good calls", "%s was %v and is %v", metricDone, before.done, after.done)
	d.say("a wrong token", "%s was %v and is %v", metricRefused, before.refused, after.refused)
	return errors.Join(d.promtool(), d.debugPage())
}

// The metrics of calls, and their names.
type counts struct{ done, refused float64 }

const (
	metricDone    = "rpc_server_call_duration_seconds_count"
	metricRefused = "geerpc_server_calls_refused_total"
)

func (d *demo) counts() (c counts, err error) {
	if c.done, err = d.server.metric(d.ctx, metricDone, `rpc_method="Kitchen.Cook"`, `rpc_status_code="OK"`); err == nil {
		c.refused, err = d.server.metric(d.ctx, metricRefused, `by="authorize"`)
	}
	return c, err
}

// promtool has Prometheus' own tool read the metrics, if it is there.
func (d *demo) promtool() error {
	page, err := d.server.get(d.ctx, "/metrics")
	if err != nil {
		return err
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		d.say("promtool", "is not installed")
		return nil
	}
	check := exec.CommandContext(d.ctx, promtool, "check", "metrics")
	check.Stdin = strings.NewReader(page)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("promtool: %v: %s", err, out)
	}
	d.say("promtool", "check metrics has nothing to complain about")
	return nil
}

func (d *demo) debugPage() error {
	page, err := d.server.get(d.ctx, "/debug/geerpc?format=json")
	if err != nil {
		return err
	}
	var state struct {
		State string
		Calls int
	}
	if err := json.Unmarshal([]byte(page), &state); err != nil || state.State != "open" || state.Calls == 0 {
		return fmt.Errorf("the debug page says %v, %s", err, page)
	}
	d.say("/debug/geerpc", "%s, %d calls", state.State, state.Calls)
	return nil
}

func (d *demo) breaker() error {
	client, log, err := d.client(d.dir, d.token)
	if err != nil {
		return err
	}
	defer client.Close()
	var hung, refused error
	err = until(d.ctx, "the breaker opens", func() (bool, error) {
		ctx, cancel := context.WithTimeout(d.ctx, 20*time.Millisecond)
		defer cancel()
		hung, refused = refused, client.Call(ctx, "Kitchen.Cook", time.Hour, nil)
		return strings.Contains(fmt.Sprint(refused), "refused by breaker"), nil
	})
	if err != nil {
		return err
	}
	if err := d.sayRefused("calls hang", hung, geerpc.CodeDeadlineExceeded, ""); err != nil {
		return err
	}
	if err := d.sayRefused("the next call", refused, geerpc.CodeUnavailable, "refused by breaker: open"); err != nil {
		return err
	}
	err = until(d.ctx, "calls pass again", func() (bool, error) { return d.cook(client, 0) == nil, nil })
	if err != nil {
		return err
	}
	for range 2 { // it wants to see three good calls
		if err := d.cook(client, 0); err != nil {
			return err
		}
	}
	for _, change := range [][2]string{{"closed", "open"}, {"open", "half-open"}, {"half-open", "closed"}} {
		if _, err := log.find(d.ctx, "msg", "breaker", "from", change[0], "to", change[1]); err != nil {
			return err
		}
	}
	d.say("later", "it lets a few calls pass, which are answered, and closes")
	return nil
}

func (d *demo) rateLimit() error {
	client, err := newClient(d.server.addr, d.dir, d.token, new(middleware.Metrics), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer client.Close()
	const burst, perSecond = 100, 100
	calls, passed, begin := 0, 0, time.Now()
	var limited error
	err = until(d.ctx, "the limit is reached", func() (bool, error) {
		for _, err := range d.cookMany(client, 2*burst) {
			calls++
			switch geerpc.CodeOf(err) {
			case geerpc.CodeOK:
				passed++
			case geerpc.CodeResourceExhausted:
				limited = err
			}
		}
		return limited != nil, nil
	})
	if err != nil {
		return err
	}
	if most := burst + int(math.Ceil(time.Since(begin).Seconds()*perSecond)); passed == 0 || passed > most {
		return fmt.Errorf("of %d calls at once %d pass, not 1 to %d", calls, passed, most)
	}
	d.say(fmt.Sprint(calls, " calls at once"), "%d pass", passed)
	return d.sayRefused("the others", limited, geerpc.CodeResourceExhausted, "refused by rate limit")
}

// cookMany makes calls at the same time.
func (d *demo) cookMany(client geerpc.Caller, calls int) []error {
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = d.cook(client, 0) })
	}
	wg.Wait()
	return errs
}
