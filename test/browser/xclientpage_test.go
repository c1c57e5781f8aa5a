package browser

import (
	"context"
	"net"
	"testing"
	"time"

	"geerpc"
	"geerpc/xclient"
)

// TestXClientPage: of the servers that an XClient calls, one serves, one is not there, and
// one has a hostile address.
func TestXClientPage(t *testing.T) {
	s := geerpc.NewServer()
	if err := s.Register(Arith{}); err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis) // ends with Close
	defer s.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	here := "tcp@" + lis.Addr().String()
	d := xclient.NewMultiServerDiscovery([]string{here, "tcp@" + gone.Addr().String(), "tcp@" + hostile})
	xc := xclient.New(d, xclient.Config{Timeout: time.Second})
	defer xc.Close()
	calls := func(n int) {
		for range n {
			if err := xc.Call(context.Background(), "Arith.Add", Args{1, 2}, new(int)); err != nil {
				t.Fatal(err)
			}
		}
	}
	calls(20)
	board := newSwitchboard(t, xc.DebugHandler())
	for look, before := range looks {
		t.Run(look, func(t *testing.T) {
			tab := open(t, board.URL, before)
			tab.awaitLive()
			tab.await(`document.body.innerText.includes("` + here + `")`)
			tab.fits()
			tab.shoot("xclient-" + look)
			if tab.eval("window.owned") != "undefined" || tab.eval(`document.querySelectorAll("img, main script").length`) != "0" {
				t.Error("an address has become an element")
			}
		})
	}
	tab := open(t, board.URL)
	tab.awaitLive()
	before := tab.eval(`document.querySelector("main").innerText`)
	calls(50)
	for deadline := time.Now().Add(20 * time.Second); tab.eval(`document.querySelector("main").innerText`) == before; <-time.After(20 * time.Millisecond) { // between two looks: the browser is real
		if time.Now().After(deadline) {
			t.Fatalf("the page has not changed:\n%s", before)
		}
	}
}
