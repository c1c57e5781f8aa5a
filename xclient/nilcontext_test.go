package xclient

import (
	"context"
	"errors"
	"testing"

	"geerpc"
)

// A nil context fails the call, with or without policies.
func TestC170_NilContextOfAnXClient(t *testing.T) {
	for name, config := range map[string]Config{"plain": {}, "retry": {Retry: Retry{MaxAttempts: 3}}} {
		xc := New(NewMultiServerDiscovery([]string{"tcp@127.0.0.1:1"}), config)
		defer xc.Close()
		var none context.Context
		for method, call := range map[string]func(context.Context, string, any, any) error{
			"Call": xc.Call, "Broadcast": xc.Broadcast, "BroadcastAll": xc.BroadcastAll, "Fork": xc.Fork,
		} {
			err := call(none, "Arith.Add", 1, nil)
			if !isInvalid(err) {
				t.Errorf("%s, %s: %v", name, method, err)
			}
		}
	}
}

func TestC170_NilContextOfADiscovery(t *testing.T) {
	d := NewGeeRegistryDiscovery("http://127.0.0.1:1", 0)
	defer d.Close()
	var none context.Context
	if err := d.Wait(none); !isInvalid(err) {
		t.Error(err)
	}
}

// isInvalid reports whether a call failed because of an argument that can't work.
func isInvalid(err error) bool {
	var e *geerpc.Error
	return errors.As(err, &e) && e.Code == geerpc.CodeInvalidArgument && e.Ran == geerpc.RanNever
}
