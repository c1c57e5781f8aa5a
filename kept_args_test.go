package geerpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"geerpc/codec"
)

// An InlineName is an argument that points into itself when it has been decoded.
type InlineName struct {
	room [16]byte
	Name []byte // in room, if it fits
}

// The methods that codecs look for.
func (n InlineName) MarshalJSON() ([]byte, error)     { return json.Marshal(string(n.Name)) }
func (n InlineName) GobEncode() ([]byte, error)       { return n.Name, nil }
func (n *InlineName) GobDecode(data []byte) error     { return n.set(string(data)) }
func (n *InlineName) UnmarshalJSON(data []byte) error { return n.set(string(bytes.Trim(data, `"`))) }

func (n *InlineName) set(s string) error {
	n.Name = append(n.room[:0], s...)
	return nil
}

// A Namer is a service that keeps what it has been called with.
type Namer struct {
	mu   sync.Mutex
	kept [][]byte
}

// Keep keeps a name.
func (n *Namer) Keep(args InlineName, _ *Reply) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept = append(n.kept, args.Name)
	return nil
}

// What arguments point to is the method's, for as long as it likes, also where
// they point into themselves: the next call does not get that memory.
func TestC146_ArgumentsThatPointIntoThemselves(t *testing.T) {
	for _, c := range codecs {
		for _, method := range []string{"Namer.Keep", "Typed.Keep", "Nested.Keep"} {
			t.Run(method+" "+string(c), func(t *testing.T) {
				e := newEnv(t, "pipe", c)
				namer := new(Namer)
				if err := e.Register(namer); err != nil {
					t.Fatal(err)
				}
				RegisterFunc(e.Server, "Typed.Keep", func(_ context.Context, args InlineName) (Reply, error) { return Reply{}, namer.Keep(args, nil) })
				RegisterFunc(e.Server, "Nested.Keep", func(_ context.Context, args nestedNames) (Reply, error) {
					return Reply{}, namer.Keep(args.Names[0], nil)
				})
				client := e.dial(nil)
				const calls = 200 // more than make a method known to be quick
				for i := range calls {
					var args any = InlineName{Name: fmt.Appendf(nil, "call %03d", i)}
					if method == "Nested.Keep" {
						args = nestedNames{[1]InlineName{args.(InlineName)}}
					}
					if err := client.Call(t.Context(), method, args, nil); err != nil {
						t.Fatal(err)
					}
				}
				namer.mu.Lock()
				defer namer.mu.Unlock()
				for i, name := range namer.kept {
					if want := fmt.Sprintf("call %03d", i); string(name) != want {
						t.Fatalf("call %d has got the name %q", i, name)
					}
				}
			})
		}
	}
}

type nestedNames struct{ Names [1]InlineName }

// Arguments are used again only where nothing can lead into them.
func TestC146_KeptArguments(t *testing.T) {
	type flat struct {
		A    int
		Name string
		List [4]float64
	}
	for _, c := range []struct {
		name string
		kept bool
		m    *method
	}{
		{"flat", true, methodOf[flat](t)},
		{"int", true, methodOf[int](t)},
		{"string", true, methodOf[string](t)},
		{"slice in itself", false, methodOf[InlineName](t)},
		{"slice", false, methodOf[[]int](t)},
		{"map", false, methodOf[struct{ M map[string]int }](t)},
		{"pointer", false, methodOf[*int](t)},
		{"interface", false, methodOf[struct{ V any }](t)},
		{"large", false, methodOf[[256 + 1]byte](t)},
		{"nested", false, methodOf[nestedNames](t)},
		{"header", false, methodOf[codec.Header](t)},
	} {
		if c.m.copiesArgs != c.kept {
			t.Errorf("%s: kept is %v", c.name, c.m.copiesArgs)
		}
	}
}

func methodOf[A any](t *testing.T) *method {
	t.Helper()
	var s Server
	if err := RegisterFunc(&s, "Test.M", func(context.Context, A) (Reply, error) { return Reply{}, nil }); err != nil {
		t.Fatal(err)
	}
	return s.registry.method("Test.M")
}
