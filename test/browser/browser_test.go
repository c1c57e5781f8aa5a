// Package browser tests the pages in a real browser. It is a module of its own, because
// what drives the browser is no part of the standard library.
package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is started once: that takes seconds.
var browser context.Context

func TestMain(m *testing.M) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1200, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "no browser: install chromium:", err)
		os.Exit(1)
	}
	browser = ctx
	code := m.Run()
	closeBrowser()
	stop()
	os.Exit(code)
}

// A tab shows a page.
type tab struct {
	*testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the browser
}

// open shows a page in a new tab. What the browser complains of fails the test.
func open(t *testing.T, url string, before ...action) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	tab := &tab{T: t, ctx: limited}
	t.Cleanup(func() {
		cancel()
		closeTab()
		for _, text := range tab.forgive() {
			t.Errorf("the browser says: %s", text)
		}
	})
	if err := chromedp.Listen(ctx, tab.listen); err != nil {
		t.Fatal(err)
	}
	tab.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
		return err
	}))
	tab.do(append(before, chromedp.Navigate(url))...)
	return tab
}

type action = chromedp.Action[chromedp.Void]

func (t *tab) listen(event any) {
	var text string
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		text = fmt.Sprint(e.Entry.Level, " ", e.Entry.Text, " ", e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		text = fmt.Sprint("console.", e.Type)
	case *runtime.EventExceptionThrown:
		text = fmt.Sprint(e.ExceptionDetails.Text, e.ExceptionDetails.LineNumber)
	default:
		return
	}
	if strings.Contains(text, "favicon.ico") { // browsers ask for one
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.complaints = append(t.complaints, text)
}

// forgive forgets what the browser has complained of, and returns it.
func (t *tab) forgive() (complaints []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	complaints, t.complaints = t.complaints, nil
	return complaints
}

func (t *tab) do(actions ...action) {
	t.Helper()
	if err := chromedp.Do(t.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// eval returns what an expression is in the page, as text.
func (t *tab) eval(expression string) string {
	t.Helper()
	result, err := chromedp.Run(t.ctx, chromedp.Evaluate[string](fmt.Sprintf("String(%s)", expression)))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// await waits until an expression is true in the page.
func (t *tab) await(expression string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); t.eval(expression) != "true"; <-time.After(20 * time.Millisecond) { // between two looks: the browser is real
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so; the page shows:\n%s", expression, t.eval("document.body.innerText"))
		}
	}
}

// awaitLive waits until the page keeps itself up to date.
func (t *tab) awaitLive() {
	t.Helper()
	t.await(`document.querySelector("nav button").className == "live"`)
}

// shoot takes a picture of the whole page. With $SCREENSHOTS, it is kept in that folder.
func (t *tab) shoot(name string) {
	t.Helper()
	png, err := chromedp.Run(t.ctx, chromedp.FullScreenshot(100))
	if err != nil || len(png) < 10_000 {
		t.Fatalf("the picture %s has %d bytes, %v", name, len(png), err)
	}
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// looks are the ways in which a page is looked at.
var looks = map[string]action{
	"light": scheme("light"),
	"dark":  scheme("dark"),
	"phone": chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile),
}

// scheme has the browser prefer light or dark pages.
func scheme(name string) action {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}

// withoutScripts is for a browser that runs none.
func withoutScripts() action {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	})
}

// fits fails the test if the page is wider than the window.
func (t *tab) fits() {
	t.Helper()
	if t.eval("document.documentElement.scrollWidth > window.innerWidth") == "true" {
		t.Errorf("the page is %s px wide, the window %s", t.eval("document.documentElement.scrollWidth"), t.eval("window.innerWidth"))
	}
}

// A switchboard serves what it is told to, so that a server can go and come back at the
// same address.
type switchboard struct {
	*httptest.Server
	mu      sync.Mutex
	handler http.Handler // nil: connections are broken off
}

func newSwitchboard(t *testing.T, h http.Handler) *switchboard {
	s := &switchboard{handler: h}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		h := s.handler
		s.mu.Unlock()
		if h == nil {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// turn serves another handler, and breaks off what is under way.
func (s *switchboard) turn(h http.Handler) {
	s.mu.Lock()
	s.handler = h
	s.mu.Unlock()
	s.CloseClientConnections()
}
