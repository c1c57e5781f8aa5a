package test

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"geerpc"
	"geerpc/codec"
)

// largeTypes are structs with an N and about a kilobyte of other fields' names.
var largeTypes = sync.OnceValue(func() (types []reflect.Type) {
	for i := range 150 {
		fields := []reflect.StructField{{Name: "N", Type: reflect.TypeFor[int]()}}
		for j := range 20 {
			name := fmt.Sprintf("F%d_%d_%s", i, j, strings.Repeat("x", 40))
			fields = append(fields, reflect.StructField{Name: name, Type: reflect.TypeFor[int]()})
		}
		t := reflect.StructOf(fields)
		gob.RegisterName(fmt.Sprintf("large%d", i), reflect.Zero(t).Interface())
		types = append(types, t)
	}
	return types
})

// newLarge returns a value of the type of that number.
func newLarge(i int) any {
	v := reflect.New(largeTypes()[i]).Elem()
	v.Field(0).SetInt(int64(i))
	return v.Interface()
}

type (
	LargeArgs  struct{ N int }
	LargeReply struct{ Any any }
)

// A Large takes values of large types, and makes them.
type Large struct{ release chan struct{} }

func (*Large) Take(args LargeArgs, reply *int) error {
	*reply = args.N
	return nil
}

func (*Large) Make(args LargeArgs, reply *LargeReply) error {
	reply.Any = newLarge(args.N)
	return nil
}

func (l *Large) Wait(ctx context.Context, args LargeArgs, reply *int) error {
	<-l.release
	*reply = args.N
	return nil
}

// TestB135_Definitions makes calls whose arguments or replies are of one large
// type after the other. When the connection has no room for their definitions
// that call fails, alone, and says why. A call in flight is answered, and
// values of types that are known are sent as before.
func TestB135_Definitions(t *testing.T) {
	tests := []struct {
		name     string
		limit    int // of both sides
		min, max int // of the types that pass
	}{
		{"default", 0, 40, 80},
		{"lower", 10_000, 4, 12},
		{"higher", 100_000, 70, 110},
		{"none", -1, 150, 150},
	}
	for _, transport := range transports {
		for _, test := range tests {
			t.Run(transport+"/"+test.name, func(t *testing.T) {
				e := newEnv(t, transport, codec.GobType)
				large := &Large{make(chan struct{})}
				e.Register(large)
				e.MaxDefinitionBytes = test.limit
				client := e.dial(&geerpc.Option{MaxDefinitionBytes: test.limit})
				var waited int
				waiting := client.Go("Large.Wait", LargeArgs{7}, &waited, nil)
				passed := callLarge(t, client, "too large for the server", geerpc.RanNever, func(i int) error {
					var got int
					err := client.Call(context.Background(), "Large.Take", newLarge(i), &got)
					if err == nil && got != i {
						t.Fatalf("got %d, want %d", got, i)
					}
					return err
				})
				if passed < test.min || passed > test.max {
					t.Errorf("%d types of arguments passed, want %d to %d", passed, test.min, test.max)
				}
				passed = callLarge(t, client, "too large for the client", geerpc.RanYes, func(i int) error {
					var got LargeReply
					err := client.Call(context.Background(), "Large.Make", LargeArgs{i}, &got)
					if err == nil && got.Any != newLarge(i) {
						t.Fatalf("got %+v", got)
					}
					return err
				})
				if passed < test.min || passed > test.max {
					t.Errorf("%d types of replies passed, want %d to %d", passed, test.min, test.max)
				}
				close(large.release)
				if <-waiting.Done; waiting.Error != nil || waited != 7 {
					t.Errorf("a call in flight: %d, %v", waited, waiting.Error)
				}
			})
		}
	}
}

// callLarge makes a call for each type, and returns how many of them passed.
// Those that passed pass again.
func callLarge(t *testing.T, client *geerpc.Client, says string, ran geerpc.Ran, call func(i int) error) (passed int) {
	t.Helper()
	known := make(map[int]bool)
	for i := range len(largeTypes()) {
		err := call(i)
		var e *geerpc.Error
		switch {
		case err == nil:
			known[i] = true
		case !errors.As(err, &e) || e.Code != geerpc.CodeResourceExhausted || e.Ran != ran || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "MaxDefinitionBytes"):
			t.Fatalf("type %d: %v (%+v)", i, err, e)
		}
	}
	for i := range known {
		if err := call(i); err != nil {
			t.Errorf("type %d again: %v", i, err)
		}
	}
	if !client.IsAvailable() {
		t.Error("the connection is lost")
	}
	return len(known)
}
