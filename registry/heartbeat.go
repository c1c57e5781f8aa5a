package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// DefaultInterval is the time between two heartbeats where none is given.
const DefaultInterval = 10 * time.Second

// beatLimit limits the time of a request to the registry. A shorter interval
// limits it as well, so that a request that hangs never costs a second beat.
const beatLimit = 5 * time.Second

// maxReasonBytes is how much of a refusal is read.
const maxReasonBytes = 256

// A Registration keeps a server registered, by heartbeats, until Close.
type Registration struct {
	registry string // URL
	addr     string
	interval time.Duration
	client   *http.Client

	stop  chan struct{} // closed by Close
	ended chan struct{} // closed when no more beats come
	once  sync.Once
	left  error // what deregistering failed with; once done

	mu  sync.Mutex // guards err
	err error      // of the latest beat
}

// Heartbeat registers a server, addr as geerpc.XDial takes it, with the
// registry at a URL, and goes on to say that it is alive every interval,
// give or take a tenth; zero or negative: DefaultInterval. The registry is told
// the interval: it forgets a server that is silent for three of them.
//
// The first beat has been sent, or has failed, when Heartbeat returns, within
// 5 seconds at most. No failure ends the beats: a registry that was down, or
// has forgotten everything, knows the server again after the next one. They end
// with Close; the result may be ignored by a server that runs to the end of its
// process.
func Heartbeat(registry, addr string, interval time.Duration) *Registration {
	return heartbeat(new(http.Client), registry, addr, interval)
}

func heartbeat(client *http.Client, registry, addr string, interval time.Duration) *Registration {
	if interval <= 0 {
		interval = DefaultInterval
	}
	r := &Registration{
		registry: registry,
		addr:     addr,
		interval: interval,
		client:   client,
		stop:     make(chan struct{}),
		ended:    make(chan struct{}),
	}
	r.beat()
	go r.run() // until Close, which waits
	return r
}

// Err returns what the latest beat failed with, nil if the registry took it.
func (r *Registration) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the beats and deregisters the server, so that clients don't find
// it any more. It returns when both are done, within 10 seconds at most, and
// fails if the registry could not be told; it forgets the server in time. A
// second Close waits for the first and returns the same.
func (r *Registration) Close() error {
	r.once.Do(func() {
		close(r.stop)
		<-r.ended // a beat under way must not arrive after we have left
		r.left = r.send(http.MethodDelete)
	})
	return r.left
}

// run beats.
func (r *Registration) run() {
	defer close(r.ended)
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.stop:
			return
		}
		timer.Reset(r.pause()) // before the beat, which may take its time
		r.beat()
	}
}

// pause returns the time to the next beat, different each time so that servers
// that were started together don't beat together.
func (r *Registration) pause() time.Duration {
	tenth := r.interval / 10
	return r.interval - tenth + rand.N(2*tenth+1)
}

func (r *Registration) beat() {
	err := r.send(http.MethodPost)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// send makes one request to the registry.
func (r *Registration) send(method string) error {
	ctx, cancel := context.WithTimeout(context.Background(), min(r.interval, beatLimit))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.registry, nil)
	if err != nil {
		return fmt.Errorf("rpc registry: %w", err)
	}
	req.Header.Set(serverHeader, r.addr)
	req.Header.Set(intervalHeader, r.interval.String())
	req.Close = true // the next one is far away
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("rpc registry: %w", err)
	}
	defer resp.Body.Close()
	// A redirect may have made a GET of it, which is answered gladly.
	if resp.StatusCode/100 == 2 && resp.Request.Method == method {
		return nil
	}
	reason, _ := io.ReadAll(io.LimitReader(resp.Body, maxReasonBytes))
	return fmt.Errorf("rpc registry: %s %s: status %.64s: %s",
		resp.Request.Method, resp.Request.URL.Redacted(), resp.Status, bytes.TrimSpace(reason))
}
