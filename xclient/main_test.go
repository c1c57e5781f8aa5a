package xclient

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"geerpc"
	"geerpc/internal/registryapi"
)

// Work is the service of the tests. Every server has its own.
type Work struct {
	name  string
	calls atomic.Int64
	gate  chan struct{} // Wait waits for it
}

// Name tells which server it is.
func (w *Work) Name(_ int, reply *string) error {
	w.calls.Add(1)
	*reply = w.name
	return nil
}

// Fail fails.
func (w *Work) Fail(_ int, _ *string) error {
	return geerpc.Errorf(geerpc.CodeFailedPrecondition, "%s is not in the mood", w.name)
}

// FailAt fails on the server of that name, and on others waits for the end. With
// canceled@ before the name, it says there that it was cancelled.
func (w *Work) FailAt(ctx context.Context, name string, reply *string) error {
	switch name {
	case w.name:
		return w.Fail(0, reply)
	case "canceled@" + w.name:
		return context.Canceled
	}
	<-ctx.Done()
	return ctx.Err()
}

// Wait waits for the gate or the end, and answers with the server's name.
func (w *Work) Wait(ctx context.Context, _ int, reply *string) error {
	w.calls.Add(1)
	select {
	case <-w.gate:
		*reply = w.name
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A world is a network of its own: servers by address, and what becomes of a
// dial. It works in synctest bubbles.
type world struct {
	t testing.TB

	mu    sync.Mutex // guards what follows
	hosts map[string]*host
	dials map[string]int
	open  map[string]int // connections
	hangs map[string]bool
	conns map[*countedConn]bool
}

// A host is a server in a world.
type host struct {
	*geerpc.Server
	work   *Work
	lis    *geerpc.PipeListener
	served chan struct{}
}

func newWorld(t testing.TB) *world {
	return &world{t: t, hosts: make(map[string]*host), dials: make(map[string]int),
		open: make(map[string]int), hangs: make(map[string]bool), conns: make(map[*countedConn]bool)}
}

// start starts a server, which ends with the test at the latest, and returns
// its address.
func (w *world) start(name string) string {
	w.t.Helper()
	h := &host{Server: geerpc.NewServer(), work: &Work{name: name, gate: make(chan struct{})},
		lis: geerpc.NewPipeListener(), served: make(chan struct{})}
	if err := h.Register(h.work); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.hosts[name] = h
	w.mu.Unlock()
	go func() {
		h.Serve(h.lis)
		close(h.served)
	}()
	w.t.Cleanup(h.stop)
	return "pipe@" + name
}

func (h *host) stop() {
	h.Close()
	<-h.served
}

func (w *world) host(name string) *host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[name]
}

// hang has dials to a server wait for the end of their context.
func (w *world) hang(name string, hangs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hangs[name] = hangs
}

func (w *world) dialed(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[name]
}

func (w *world) connections(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open[name]
}

// DialContext is an Option's Dialer.
func (w *world) DialContext(ctx context.Context, network, name string) (net.Conn, error) {
	w.mu.Lock()
	w.dials[name]++
	h, hangs := w.hosts[name], w.hangs[name]
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if h == nil {
		return nil, errors.New("no such host: " + name)
	}
	conn, err := h.lis.DialContext(ctx, network, name)
	if err != nil {
		return nil, err
	}
	w.count(name, 1)
	counted := &countedConn{Conn: conn}
	counted.closed = func() {
		w.count(name, -1)
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, counted)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[counted] = true
	return counted, nil
}

// cut breaks all connections.
func (w *world) cut() {
	w.mu.Lock()
	conns := slices.Collect(maps.Keys(w.conns))
	w.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// hangUp closes all connections to a server, in good order: no call is lost.
func (w *world) hangUp(name string) {
	w.t.Helper()
	w.host(name).stop()
	w.start(name)
}

// connectAll connects an XClient to all servers that its Discovery lists.
func connectAll(t testing.TB, xc *XClient) {
	t.Helper()
	servers, err := xc.serversFor(context.Background(), "Work.Name")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if _, err := s.connect(context.Background(), false, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) count(name string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[name] += n
}

type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// client returns an XClient in the world, closed with the test.
func (w *world) client(d Discovery) *XClient {
	xc := NewXClient(d, RoundRobinSelect, &geerpc.Option{Dialer: w.DialContext})
	w.t.Cleanup(func() { xc.Close() })
	return xc
}

// name calls Work.Name.
func name(t testing.TB, xc *XClient) string {
	t.Helper()
	var reply string
	if err := xc.Call(context.Background(), "Work.Name", 0, &reply); err != nil {
		t.Fatal(err)
	}
	return reply
}

// callAt calls a method on the server at an address, listed or not.
func callAt(xc *XClient, addr, serviceMethod string) error {
	s, err := xc.set.server(addr)
	if err != nil {
		return err
	}
	return xc.callServer(context.Background(), s, serviceMethod, 0, nil)
}

// wantError checks what kind of error it is.
func wantError(t testing.TB, err error, code geerpc.Code, where geerpc.Where, ran geerpc.Ran) {
	t.Helper()
	var e *geerpc.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v (%T), want a *geerpc.Error", err, err)
	}
	if e.Code != code || e.Where != where || e.Ran != ran {
		t.Fatalf("error is %v, %v, ran %v; want %v, %v, ran %v: %v", e.Code, e.Where, e.Ran, code, where, ran, err)
	}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("never came true: ", what)
		}
		<-time.After(time.Millisecond) // between two looks; nothing says when it comes true
	}
}

// A fakeRegistry is an http.RoundTripper that answers as told, like a registry
// of GeeRPC's original version: with a header, and without a watch.
type fakeRegistry struct {
	mu     sync.Mutex // guards what follows
	asked  int
	answer func(*http.Request) (*http.Response, error)
	bodies atomic.Int64 // open
}

// lists makes it answer as a registry does.
func (r *fakeRegistry) lists(list string) {
	r.answers(func(*http.Request) (*http.Response, error) {
		return response(http.StatusOK, http.Header{registryapi.ServersHeader: {list}}), nil
	})
}

// hangs makes it give no answer.
func (r *fakeRegistry) hangs() { r.answers(hang) }

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func (r *fakeRegistry) answers(f func(*http.Request) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *fakeRegistry) timesAsked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// RoundTrip implements http.RoundTripper.
func (r *fakeRegistry) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.asked++
	answer := r.answer
	r.mu.Unlock()
	resp, err := answer(req)
	if resp != nil {
		r.bodies.Add(1)
		resp.Request, resp.Body = req, &endlessBody{open: &r.bodies}
	}
	return resp, err
}

func response(status int, h http.Header) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)), Header: h}
}

// An endlessBody is never read to its end.
type endlessBody struct{ open *atomic.Int64 }

func (*endlessBody) Read(p []byte) (int, error) { return len(p), nil }

func (b *endlessBody) Close() error {
	b.open.Add(-1)
	return nil
}

// discovery returns a GeeRegistryDiscovery that asks r, closed with the test.
func (r *fakeRegistry) discovery(t testing.TB, timeout time.Duration) *GeeRegistryDiscovery {
	d := NewGeeRegistryDiscovery("http://registry/_geerpc_/registry", timeout)
	d.client.Transport = r
	t.Cleanup(func() { d.Close() })
	return d
}
