package waitgroup

import (
	"context"
	"testing"
)

func TestGroup(t *testing.T) {
	var g Group
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(ended); err != nil {
		t.Errorf("nothing is going on: %v", err)
	}
	g.Add()
	g.Add()
	if err := g.Wait(ended); err != context.Canceled {
		t.Errorf("two are going on and the context has ended: %v", err)
	}
	waited := make(chan error, 2)
	for range 2 {
		go func() { waited <- g.Wait(t.Context()) }() // ends with the second Done
	}
	g.Done()
	g.Add() // during Wait
	g.Done()
	g.Done()
	for range 2 {
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
}
