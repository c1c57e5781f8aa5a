package browser

import (
	"net/http"
	"strings"
	"testing"

	"geerpc/registry"
)

// join registers a server, as a heartbeat does.
func join(t *testing.T, url, addr, services string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Geerpc-Server", addr)
	req.Header.Set("X-Geerpc-Version", "1")
	req.Header.Set("X-Geerpc-Services", services)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func TestRegistryPage(t *testing.T) {
	reg := registry.New(registry.DefaultTimeout)
	board := newSwitchboard(t, reg)
	join(t, board.URL, "tcp@10.0.0.1:9999", "Arith,Clock")
	join(t, board.URL, "tcp@10.0.0.2:9999", "Arith")
	join(t, board.URL, "tcp@"+strings.ReplaceAll(hostile, " ", "/"), "Evil")
	for look, before := range looks {
		t.Run(look, func(t *testing.T) {
			tab := open(t, board.URL, before)
			tab.awaitLive()
			tab.fits()
			tab.shoot("registry-" + look)
			if tab.eval("window.owned") != "undefined" || tab.eval(`document.querySelectorAll("img, main script").length`) != "0" {
				t.Error("an address has become an element")
			}
		})
	}
	tab := open(t, board.URL)
	tab.awaitLive()
	join(t, board.URL, "tcp@10.0.0.9:9999", "Late")
	tab.await(`document.body.innerText.includes("tcp@10.0.0.9:9999")`)
}
