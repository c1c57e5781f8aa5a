package browser

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"geerpc"
)

// Args are the arguments of Arith's methods.
type Args struct{ A, B int }

// Arith is the service on the page.
type Arith struct{}

// Add adds.
func (Arith) Add(args Args, sum *int) error {
	*sum = args.A + args.B
	return nil
}

// Div divides.
func (Arith) Div(args Args, quotient *int) error {
	if args.B == 0 {
		return errors.New("divide by zero")
	}
	*quotient = args.A / args.B
	return nil
}

// Odd can't be called.
func (Arith) Odd(int) {}

const hostile = `<script>owned=1</script><img src=x onerror=owned=2>`

// serve returns a server with services and calls, and a client of it.
func serve(t *testing.T) (*geerpc.Server, *geerpc.Client) {
	t.Helper()
	s := geerpc.NewServer()
	for _, err := range []error{s.Register(Arith{}), s.RegisterName(hostile, Arith{}, "Add")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	lis := geerpc.NewPipeListener()
	go s.Serve(lis) // ends with Close
	opt := *geerpc.DefaultOption
	opt.Dialer = lis.DialContext
	client, err := geerpc.Dial("pipe", "", &opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); s.Close() })
	for range 20 {
		call(client, "Arith.Add", Args{1, 2})
	}
	call(client, "Arith.Div", Args{1, 0})
	call(client, hostile+".Add", Args{1, 2})
	call(client, "Nobody"+hostile+".Add", Args{1, 2})
	return s, client
}

func call(client *geerpc.Client, method string, args Args) {
	client.Call(context.Background(), method, args, new(int)) // the page shows what becomes of it
}

func TestDebugPage_Looks(t *testing.T) {
	s, _ := serve(t)
	board := newSwitchboard(t, s.DebugHandler())
	for look, before := range looks {
		t.Run(look, func(t *testing.T) {
			tab := open(t, board.URL, before)
			tab.awaitLive()
			tab.fits()
			tab.shoot("debug-" + look)
			tab.do(chromedp.Navigate(board.URL + "/?method=Arith.Div&window=hour"))
			tab.awaitLive()
			tab.fits()
			if text := tab.eval("document.body.innerText"); !strings.Contains(text, "divide by zero") {
				t.Errorf("the page of the method shows:\n%s", text)
			}
			tab.shoot("debug-method-" + look)
		})
	}
}

// TestDebugPage_Live: what is on the page changes while calls are made, and nothing else
// does.
func TestDebugPage_Live(t *testing.T) {
	s, client := serve(t)
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL)
	tab.awaitLive()
	tab.eval(`window.first = document.querySelector("table.methods tbody tr")`)
	tab.eval(`window.loaded = 1`)
	for range 300 {
		call(client, "Arith.Div", Args{1, 0})
	}
	tab.await(`document.body.innerText.includes("301")`)
	if tab.eval("window.loaded") != "1" || tab.eval(`window.first === document.querySelector("table.methods tbody tr")`) != "true" {
		t.Error("the page was loaded again, or the row replaced")
	}
	tab.eval(`document.querySelector("nav button").click()`)
	tab.await(`document.querySelector("nav button").textContent == "paused"`)
	call(client, "Arith.Div", Args{1, 0})
	tab.eval(`document.querySelector("nav button").click()`)
	tab.await(`document.body.innerText.includes("302")`)
}

// TestDebugPage_SurvivesARestart: the tab of an operator shows that the server is away,
// and the new one when that is there.
func TestDebugPage_SurvivesARestart(t *testing.T) {
	s, _ := serve(t)
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL)
	tab.awaitLive()
	board.turn(nil)
	tab.await(`document.querySelector("nav button").className == "lost" && document.querySelector("nav button").textContent.startsWith("no answer since")`)
	tab.forgive() // the connection that broke
	next := geerpc.NewServer()
	if err := next.RegisterName("Next", Arith{}); err != nil {
		t.Fatal(err)
	}
	board.turn(next.DebugHandler())
	tab.await(`document.querySelector("nav button").className == "live" && document.body.innerText.includes("Next")`)
	tab.forgive()
}

// TestE51_HostileNames: what peers and programs call things is shown as text, before and
// after the page has kept itself up to date.
func TestE51_HostileNames(t *testing.T) {
	s, client := serve(t)
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL)
	for range 2 {
		if text := tab.eval("document.body.innerText"); strings.Count(text, hostile) < 2 {
			t.Errorf("the page shows the names %d times:\n%s", strings.Count(text, hostile), text)
		}
		if n := tab.eval(`document.querySelectorAll("img, main script, header script").length`); n != "0" {
			t.Errorf("the page has %s elements that a name has made", n)
		}
		if tab.eval("window.owned") != "undefined" {
			t.Error("a name has run")
		}
		for range 77 {
			call(client, "Arith.Div", Args{1, 0})
		}
		tab.await(`document.body.innerText.includes("78")`)
	}
}

// TestDebugPage_WithoutJavaScript has all that is there, and loads itself again.
func TestDebugPage_WithoutJavaScript(t *testing.T) {
	s, client := serve(t)
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL+"/?refresh=1", withoutScripts())
	text := func() string {
		text, err := chromedp.Run(tab.ctx, chromedp.Text("body"))
		if err != nil && tab.ctx.Err() != nil {
			t.Fatal(err)
		}
		return text // nothing while the page is being loaded again
	}
	if got := text(); !strings.Contains(got, "every 5 s") || !strings.Contains(got, "Odd can't be called") {
		t.Errorf("the page shows:\n%s", got)
	}
	for range 122 {
		call(client, "Arith.Div", Args{1, 0})
	}
	for !strings.Contains(text(), "123") { // the tab's context ends it
	}
}

// TestDebugPage_Call: a method is called from the page, and what it replied stays while
// the page keeps itself up to date.
func TestDebugPage_Call(t *testing.T) {
	s, client := serve(t)
	s.AllowDebugCalls = true
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL+"/?method=Arith.Add")
	tab.awaitLive()
	tab.eval(`document.querySelector("textarea").value = '{"A":40,"B":2}'`)
	tab.eval(`document.querySelector("form").requestSubmit()`)
	tab.await(`document.querySelector("form pre") != null && document.querySelector("form pre").textContent == "42"`)
	tab.awaitLive()
	for range 5 {
		call(client, "Arith.Add", Args{1, 2})
	}
	tab.await(`document.body.innerText.includes("26 calls since the start")`)
	if reply := tab.eval(`document.querySelector("form pre").textContent`); reply != "42" {
		t.Errorf("the reply has become %q", reply)
	}
	tab.fits()
	tab.shoot("debug-call")
}

// elsewhere is a connection from another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9} }

// TestDebugPage_HintWhileWriting: what stands in the form stays when a hint appears above.
func TestDebugPage_HintWhileWriting(t *testing.T) {
	s, _ := serve(t)
	s.AllowDebugCalls, s.Token = true, "secret"
	board := newSwitchboard(t, s.DebugHandler())
	tab := open(t, board.URL+"/?method=Arith.Add")
	tab.awaitLive()
	tab.eval(`document.querySelector("textarea").value = "half of it"`)
	ours, theirs := net.Pipe()
	go s.ServeConn(elsewhere{theirs}) // ends with Close
	opt := *geerpc.DefaultOption
	opt.Token = s.Token
	client, err := geerpc.NewClient(ours, &opt)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	tab.await(`document.querySelector(".alarm") != null`)
	if text := tab.eval(`document.querySelector("textarea").value`); text != "half of it" {
		t.Errorf("it has become %q", text)
	}
}
