package geerpc

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/debugpage"
)

// Steps is a service whose calls take as long, and end, as they are told.
type Steps struct{}

// Go sleeps, and fails with a code.
func (Steps) Go(ctx context.Context, args Args, _ *Reply) error {
	time.Sleep(time.Duration(args.A) * time.Millisecond)
	if args.B != 0 {
		return Errorf(Code(args.B), "told to fail with %d", args.B)
	}
	return nil
}

// stepped returns the environment of a server of Steps that has ended calls of all kinds.
func stepped(t *testing.T) *env {
	e := newEnv(t, "pipe", codec.GobType)
	if err := e.Register(Steps{}); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	ctx := WithMetadata(context.Background(), Metadata{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	for _, args := range []Args{{0, 0}, {0, 0}, {20, 0}, {0, int(CodeNotFound)}, {0, int(CodeUnavailable)}, {0, 99}} {
		client.Call(ctx, "Steps.Go", args, new(Reply))
	}
	return e
}

func TestDebug_WhatBecameOfCalls(t *testing.T) {
	info := debugOf(t, stepped(t).Server)
	m := info.method(t, "Steps", "Go")
	for span, w := range map[string]debugpage.Window{"minute": m.Minute, "hour": m.Hour, "day": m.Day, "minute of all": info.Minute} {
		if w.Calls != 6 || w.Errors != 3 || w.ByCode["not found"] != 1 || w.ByCode["unavailable"] != 1 || len(w.ByCode) != 3 {
			t.Errorf("%s: %+v", span, w)
		}
		if w.P50 <= 0 || w.P50 > 0.015 || w.P999 < 0.018 || w.PerSecond <= 0 {
			t.Errorf("%s: %+v", span, w)
		}
	}
	byCode := make(map[string]int)
	for _, s := range m.Samples {
		byCode[s.Code]++
		if s.Trace != "0af7651916cd43dd8448eb211c80319c" || s.Peer != "pipe" || time.Since(s.At) > time.Minute || s.Code != "ok" && !strings.HasPrefix(s.Error, "told to fail") {
			t.Errorf("sample %+v", s)
		}
	}
	if byCode["ok"] != 2 || byCode["not found"] != 1 || byCode["unavailable"] != 1 || len(byCode) != 4 {
		t.Errorf("samples by code: %v", byCode)
	}
}

// A page for somebody who wants to know what is wrong.
func TestDebug_ShowsWhatIsWrong(t *testing.T) {
	e := stepped(t)
	if err := e.RegisterName("Half", new(Shapes)); err != nil {
		t.Fatal(err)
	}
	e.dial(nil).Call(context.Background(), "Nobody.Home", Args{}, new(Reply))
	for target, wants := range map[string][]string{
		"/?format=html": {"1 failed, last minute", "unavailable 1", "not found 1", "1 the server's", "Calls of unknown methods1", "can't find service Nobody",
			"pipe pipe", "MaxInFlight4096 (default)", "Tokennot set", "application/gob, framed"},
		"/?format=html&window=day":             {"Errors, last day3", "unavailable 1"},
		"/?format=html&method=Steps.Go":        {"told to fail with 5", "0af7651916cd43dd8448eb211c80319c", "6 calls since the start, 3 of them failed", "since the start"},
		"/?format=html&method=Steps.Gone":      {"Steps", "Configuration"},
		"/?format=text":                        {"Steps.Go", "last minute", "unavailable", "1 calls of unknown methods", "can't find service Nobody"},
		"/?format=text&window=hour":            {"last hour"},
		"/?format=text&method=Steps.Go":        {"not found: told to fail with 5", "0af7651916cd43dd8448eb211c80319c"},
		"/?format=html&method=<b>&window=<b>x": {"Configuration", "last minute"},
	} {
		page := loadDebug(t, e.Server, target, "").Body.String()
		text := page
		if strings.Contains(target, "html") {
			text = title(page) + visible(page)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not show %q:\n%s", target, want, text)
			}
		}
	}
}

// title returns the title of a page.
func title(page string) string {
	_, after, _ := strings.Cut(page, "<title>")
	title, _, _ := strings.Cut(after, "</title>")
	return title
}

// TestDebug_SkippedMethods are shown with the reason.
func TestDebug_SkippedMethods(t *testing.T) {
	s := NewServer()
	if err := s.RegisterName("Half", new(Stubborn)); err != nil {
		t.Fatal(err)
	}
	if err := s.RegisterName("Odd", oddMethods{}); err != nil {
		t.Fatal(err)
	}
	info := debugOf(t, s)
	if skipped := info.Services[1].Skipped; len(info.Services[0].Skipped) != 0 || len(skipped) != 1 || skipped[0].Name != "Three" || !strings.Contains(skipped[0].Why, "args and a reply") {
		t.Errorf("%+v", info.Services)
	}
	if text := visible(loadDebug(t, s, "/", "text/html").Body.String()); !strings.Contains(text, "Three can't be called: it does not take args and a reply") {
		t.Error("the page does not say so")
	}
}

type oddMethods struct{}

func (oddMethods) Two(Args, *Reply) error           { return nil }
func (oddMethods) Three(Args, *Reply, *Reply) error { return nil }

// TestDebug_OldestCalls: those that run inline too, once they keep the reader waiting.
func TestDebug_OldestCalls(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	client := e.dial(nil)
	ctx, cancel := context.WithCancel(context.Background())
	blocked := make(chan error, 1)
	go func() { blocked <- client.Call(ctx, "Arith.Block", Args{}, new(Reply)) }()
	eventually(t, "the call is shown", func() bool {
		running := debugOf(t, e.Server).Running
		return len(running) == 1 && running[0].Method == "Arith.Block" && running[0].Peer == "pipe" && running[0].Seconds > 0
	})
	cancel()
	<-blocked
	eventually(t, "it is shown no more", func() bool { return len(debugOf(t, e.Server).Running) == 0 })
}

func TestDebug_ForCurlAndOthers(t *testing.T) {
	for name, c := range map[string]struct{ query, accept, want string }{
		"nothing said":   {"", "", "text/plain; charset=utf-8"},
		"curl":           {"", "*/*", "text/plain; charset=utf-8"},
		"nonsense":       {"?format=", ";;;,,", "text/plain; charset=utf-8"},
		"asked for text": {"?format=text", "text/html", "text/plain; charset=utf-8"},
	} {
		rec := loadDebug(t, NewServer(), "/"+c.query, c.accept)
		if got := rec.Header().Get("Content-Type"); got != c.want {
			t.Errorf("%s: content type %q", name, got)
		}
	}
	rec := httptest.NewRecorder()
	NewServer().DebugHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/?format=xml", nil))
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "html, text, json") {
		t.Errorf("xml: %d %s", rec.Code, rec.Body)
	}
}

// TestDebug_TextMovesNoCursor: what peers and services are called does not get to a terminal
// as it is.
func TestDebug_TextMovesNoCursor(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	if err := e.RegisterName("a\x1b[2Jb\u009bc", new(Arith)); err != nil {
		t.Fatal(err)
	}
	e.dial(nil).Call(context.Background(), "\x1b[31m.Add", Args{}, new(Reply))
	text := loadDebug(t, e.Server, "/?format=text", "").Body.String()
	if strings.ContainsAny(text, "\x1b\u009b") || !strings.Contains(text, "a�[2Jb�c.Add") {
		t.Errorf("the text is %q", text)
	}
}

// TestDebug_Live reads the page as a stream of events.
func TestDebug_Live(t *testing.T) {
	e := stepped(t)
	hs := httptest.NewServer(e.DebugHandler())
	defer hs.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, hs.URL+"/?method=Steps.Go", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := hs.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	var event strings.Builder
	for buf := make([]byte, 1000); !strings.Contains(event.String(), "\n\n"); {
		n, err := resp.Body.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		event.Write(buf[:n])
	}
	if text := event.String(); !strings.HasPrefix(text, "retry: 1000\ndata: <!DOCTYPE html>\ndata: ") || !strings.Contains(text, "told to fail with 5") {
		t.Errorf("the event is\n%.300s", text)
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1)) // the next one comes
}

// TestDebug_EventsOfAConnection: what is out of the ordinary, and no more than a few.
func TestDebug_EventsOfAConnection(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	stubborn := newStubborn()
	if err := e.Register(stubborn); err != nil {
		t.Fatal(err)
	}
	client := e.dial(nil)
	if err := client.Call(context.Background(), "Arith.Add", Args{1, 2}, new(Reply)); err != nil {
		t.Fatal(err)
	}
	if c := debugOf(t, e.Server).Connections.List[0]; len(c.Events) != 0 || c.Draining {
		t.Errorf("an ordinary connection: %+v", c)
	}
	client.Call(context.Background(), "Nobody.Home", Args{}, new(Reply))
	client.Go("Stubborn.Wait", Args{}, new(Reply), nil)
	<-stubborn.begun
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(context.Background()) }()
	eventually(t, "the client is asked to leave", func() bool {
		c := debugOf(t, e.Server).Connections.List[0]
		return c.Draining && len(c.Events) == 1 && c.Events[0].What == "asked to leave"
	})
	if text := visible(loadDebug(t, e.Server, "/", "text/html").Body.String()); !strings.Contains(text, "ago: asked to leave") {
		t.Errorf("the page shows:\n%s", text)
	}
	close(stubborn.letGo)
	if err := <-down; err != nil {
		t.Error(err)
	}
	c := newConn(e.Server, closedConn{}, nil)
	for i := range 3 * debugpage.MaxEvents {
		c.note("%d", i)
	}
	if got := c.state.events; len(got) != debugpage.MaxEvents || got[debugpage.MaxEvents-1].What != "14" {
		t.Errorf("kept %+v", got)
	}
}

type closedConn struct{}

func (closedConn) Read([]byte) (int, error)  { return 0, io.EOF }
func (closedConn) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (closedConn) Close() error              { return nil }

// TestDebug_CallsThatNeverRan: they are errors, and do not make the method look quick.
func TestDebug_CallsThatNeverRan(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	e.MaxInFlight = 1
	p := e.byHand(allKinds...)
	p.send(handFrame{kind: codec.Call, seq: 1, method: "Arith.Block", body: `"no Args"`})
	p.next()
	p.send(handBlock(2), handBlock(3), handBlock(4))
	p.next()
	p.next()
	eventually(t, "the call that was taken begins", func() bool {
		info := debugOf(t, e.Server)
		return info.method(t, "Arith", "Block").Counts.InFlight == 1
	})
	info := debugOf(t, e.Server)
	m := info.method(t, "Arith", "Block")
	if m.Counts != debugCounts(4, 3, 1) || m.Minute.ByCode["invalid argument"] != 1 || m.Minute.ByCode["resource exhausted"] != 2 {
		t.Errorf("%+v, %v", m.Counts, m.Minute.ByCode)
	}
	if m.Minute.P50 != 0 {
		t.Errorf("half of them took no longer than %v s, and none has run", m.Minute.P50)
	}
	if events := info.Connections.List[0].Events; len(events) != 1 || !strings.Contains(events[0].What, "Server.MaxInFlight") {
		t.Errorf("the connection's events are %v", events)
	}
}

func TestTraceID(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for header, want := range map[string]string{
		"00-" + id + "-b7ad6b7169203331-01": id, "00-" + id + "-1-01-later": id, "": "", "00-" + id: "",
		"00-" + id[1:] + "-1-01": "", "00-" + id[1:] + "A-1-01": "",
	} {
		if got := traceID(header); got != want {
			t.Errorf("the trace of %q is %q, want %q", header, got, want)
		}
	}
}

// TestDebug_SaysWhatIsWrong on the first lines: limits that are reached, methods that nobody
// waits for any more, a shutdown. And what was refused, by reason.
func TestDebug_SaysWhatIsWrong(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	e.MaxConns, e.MaxInFlight = 2, 1
	stubborn := newStubborn()
	if err := e.Register(stubborn); err != nil {
		t.Fatal(err)
	}
	hint := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return strings.Contains(strings.Join(debugOf(t, e.Server).Hints, "\n"), want) })
	}
	refused := func(want string, count int64) {
		t.Helper()
		eventually(t, want, func() bool {
			for _, r := range debugOf(t, e.Server).Refused {
				if strings.Contains(r.Reason, want) && r.Count == count {
					return true
				}
			}
			return false
		})
	}
	client := e.dial(nil)
	if hints := debugOf(t, e.Server).Hints; len(hints) != 0 {
		t.Errorf("a server in order: %q", hints)
	}
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error, 1)
	go func() { left <- client.Call(ctx, "Stubborn.Wait", Args{}, new(Reply)) }()
	<-stubborn.begun
	hint("MaxInFlight allows, so that no more are taken: 1")
	cancel()
	<-left
	hint("callers have left: 1 or more, the oldest Stubborn.Wait")
	second := e.dial(nil)
	hint("MaxConns is reached, which is 2")
	for range 3 {
		if _, err := e.tryDial(nil); CodeOf(err) != CodeResourceExhausted {
			t.Errorf("one connection too many: %v", err)
		}
	}
	refused("no more are allowed by Server.MaxConns", 3)
	second.Close()
	go func() { e.Shutdown(context.Background()) }()
	hint("Calls that it waits for: 1")
	close(stubborn.letGo)
}

// TestDebug_OldestOfTheAbandoned: an older call whose caller still waits is not meant.
func TestDebug_OldestOfTheAbandoned(t *testing.T) {
	running := []debugpage.Running{{Method: "A.Waited", Seconds: 9}, {Method: "A.Left", Seconds: 5, Abandoned: true}, {Method: "A.Later", Seconds: 1, Abandoned: true}}
	hints := NewServer().hints(&debugpage.Info{Running: running})
	if len(hints) != 1 || !strings.Contains(hints[0], "left: 2 or more, the oldest A.Left.") || running[0].Method != "A.Waited" {
		t.Errorf("%q", hints)
	}
}
