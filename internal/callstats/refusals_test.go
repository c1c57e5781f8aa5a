package callstats

import (
	"fmt"
	"testing"
)

func TestRefusals(t *testing.T) {
	var r Refusals
	for range 500 {
		r.Add("full", "a")
	}
	r.Add("wrong token", "b")
	r.Add("full", "c")
	list := r.Latest()
	if len(list) != 2 || list[0].Reason != "wrong token" || list[1].Count != 501 || list[1].Peer != "c" || list[1].At.IsZero() {
		t.Errorf("%+v", list)
	}
	for i := range 100 {
		r.Add(fmt.Sprint("made up ", i), "d")
		r.Add("full", "e")
	}
	list = r.Latest()
	if len(list) != maxReasons || list[maxReasons-1].Count != 601 || list[maxReasons-2].Reason != "made up 99" {
		t.Errorf("%+v", list)
	}
	if r.Total() != 702 {
		t.Errorf("%d in total", r.Total())
	}
}
