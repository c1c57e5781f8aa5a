package geerpc

import (
	"context"
	"sync"
	"testing"
)

func TestCalls(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				var reply Reply
				if err := client.Call(context.Background(), "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
					t.Errorf("Add(%d, 1) = %d, %v", i, reply.C, err)
				}
			})
		}
		wg.Wait()
	})
}
