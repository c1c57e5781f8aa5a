package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"geerpc/internal/backoff"
	"geerpc/internal/registryapi"
	"geerpc/internal/report"
)

const (
	// beatLimit limits the time of a request to the registry. So does the interval:
	// a request that hangs must cost no more than its own heartbeat.
	beatLimit = 5 * time.Second

	// firstRetry is the pause after the first heartbeat that failed. It grows up to
	// the interval.
	firstRetry = time.Second

	// renewAfter is how long a connection is used. By then the name of the registry
	// may lead to another process, while the old one lives on. It must not be longer
	// than callers keep servers that the new process doesn't know yet.
	renewAfter = 30 * time.Second

	// maxReasonBytes is how much of an error's body is read.
	maxReasonBytes = 256
)

// A sender sends the heartbeats to one registry.
type sender struct {
	Config
	url      string
	instance string
	services func() []string // or nil

	begun    chan struct{} // closed after the first heartbeat
	done     chan struct{} // closed after the last request
	leaveErr error         // of deregistering; set before done is closed

	connected time.Time // when the connection was made, or the one before was closed

	reports report.Queue // so that no heartbeat waits for the Logger

	mu  sync.Mutex // guards err
	err error      // of the latest heartbeat
}

// run sends heartbeats until the context beating ends, and then deregisters. The
// end of ctx ends that too.
func (s *sender) run(ctx, beating context.Context) {
	defer close(s.done)
	err := s.beat(beating)
	close(s.begun)
	for retry := backoff.Backoff(0); s.pause(beating, err, &retry); err = s.beat(beating) {
	}
	if s.leaveErr = s.send(ctx, http.MethodDelete); s.leaveErr != nil {
		s.reports.Log(s.Logger, slog.LevelWarn, "rpc registry: not deregistered, the registry forgets the server in time", "err", s.leaveErr)
	}
}

// pause waits for the next heartbeat: not as long after one that failed. It
// returns false, at once, when beating has ended.
func (s *sender) pause(beating context.Context, err error, retry *backoff.Backoff) bool {
	pause := backoff.Vary(s.Interval, 10) // servers that were started together must not beat together
	if err == nil {
		*retry = 0
	} else if sooner := retry.Next(firstRetry, s.Interval); *retry < backoff.Backoff(s.Interval) {
		pause = min(pause, sooner)
	}
	return backoff.Sleep(beating, pause)
}

// beat sends a heartbeat.
func (s *sender) beat(ctx context.Context) error {
	err := s.send(ctx, http.MethodPost)
	if err != nil && ctx.Err() != nil {
		return err // it was given up, which is not the registry's fault
	}
	s.mu.Lock()
	before := s.err
	s.err = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		s.reports.Log(s.Logger, slog.LevelWarn, "rpc registry: a beat failed, and is going to be tried again", "err", err)
	case err == nil && before != nil:
		s.reports.Log(s.Logger, slog.LevelInfo, "rpc registry: beats arrive again", "registry", s.name())
	}
	return err
}

func (s *sender) lastErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// send makes one request to the registry.
func (s *sender) send(ctx context.Context, method string) error {
	ctx, cancel := context.WithTimeout(ctx, min(s.Interval, beatLimit))
	defer cancel()
	req, err := s.request(ctx, method)
	if err != nil {
		return err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return fmt.Errorf("rpc registry: %w", err)
	}
	defer resp.Body.Close()
	// After a redirect it may be a GET, which succeeds and registers nothing.
	if resp.StatusCode/100 == 2 && resp.Request.Method == method {
		return nil
	}
	return fmt.Errorf("rpc registry: %s %s: status %.64s: %s",
		resp.Request.Method, resp.Request.URL.Redacted(), resp.Status, reason(resp))
}

// reason returns the body of an error, without the status and the prefix that a
// registry puts in front of it.
func reason(resp *http.Response) string {
	noRegistry := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed
	if noRegistry && resp.Request.Method == http.MethodPost { // a registry answers neither to a POST
		return registryapi.PathHint
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxReasonBytes))
	text = bytes.TrimPrefix(bytes.TrimSpace(text), fmt.Append(nil, resp.StatusCode, " "))
	return string(bytes.TrimPrefix(text, []byte("rpc registry: ")))
}

// name returns the URL without the password that may be in it.
func (s *sender) name() string {
	u, _ := url.Parse(s.url) // checked before
	return u.Redacted()
}

func (s *sender) request(ctx context.Context, method string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("rpc registry: %w", err)
	}
	c := s.Config
	if s.services != nil {
		c.Services = s.services()
	}
	if req.Header, err = c.header(); err != nil {
		return nil, err
	}
	req.Header.Set(registryapi.InstanceHeader, s.instance)
	req.Header["Idempotency-Key"] = nil // not sent, but lets the transport retry on a new connection
	req.Close = method != http.MethodPost || time.Since(s.connected) > renewAfter-s.Interval
	if req.Close {
		s.connected = time.Now()
	}
	return req, nil
}
