package xclient_test

import (
	"context"
	"fmt"
	"log"

	"geerpc/xclient"
)

// What an XClient believes of its servers, for a page or an alarm.
func ExampleXClient_Servers() {
	a, stop := serve()
	defer stop()
	xc := xclient.New(xclient.NewMultiServerDiscovery([]string{a}), xclient.Config{})
	defer xc.Close()
	var sum int
	if err := xc.Call(context.Background(), "Calc.Plus", Pair{1, 2}, &sum); err != nil {
		log.Fatal(err)
	}
	for _, s := range xc.Servers() {
		fmt.Println(s.State, s.InFlight, s.Answers, s.Failures, s.Endpoint.Addr == a)
	}
	// Output: ready 0 1 0 true
}

// Each client of a large fleet connects to twenty of its servers, and together
// the clients use all of them.
func ExampleConfig_subset() {
	var fleet []string
	for i := range 8000 {
		fleet = append(fleet, fmt.Sprintf("tcp@10.0.%d.%d:9999", i/250, i%250))
	}
	xc := xclient.New(xclient.NewMultiServerDiscovery(fleet), xclient.Config{
		Subset:   20,
		ClientID: "frontend-3", // keeps its twenty when the process restarts
	})
	defer xc.Close()
	fmt.Println(len(fleet))
	// Output: 8000
}
