package main

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"geerpc"
	"geerpc/internal/describe"
)

// An Order has all kinds of fields.
type Order struct {
	ID    int
	Lines []Line `json:"lines"`
	Next  *Order
	Tags  map[string]Line
	Any   any
	None  struct{}
}

// A Line is in an Order.
type Line struct{ Price int }

// TestUnknownFields: names are checked at all depths, as encoding/json matches them.
func TestUnknownFields(t *testing.T) {
	s := new(argsSchema)
	if err := json.Unmarshal(describe.Of(reflect.TypeFor[*Order]()).Schema, s); err != nil {
		t.Fatal(err)
	}
	circle := &argsSchema{Defs: map[string]*argsSchema{"A": {Ref: "#/$defs/A"}}, Ref: "#/$defs/A"}
	for _, c := range []struct {
		schema *argsSchema
		text   string
		want   []string
	}{
		{s, `{"ID":1,"id":1,"LINES":[{"price":1}],"Tags":{"x":{"Price":1}},"Any":{"y":1},"Next":null}`, nil},
		{s, `{"Idd":1}`, []string{"main.Order has no field Idd; did you mean ID?"}},
		{s, `{"lines":[{"Prize":1},{"Price":1}]}`, []string{"main.Line has no field Prize; did you mean Price?"}},
		{s, `{"Next":{"Next":{"Weight":1}}}`, []string{"main.Order has no field Weight"}},
		{s, `{"Tags":{"x":{"Z":1}}}`, []string{"main.Line has no field Z"}},
		{s, `{"None":{"X":1}}`, []string{"the argument has no field X"}},
		{s, `[1,{"X":1}]`, nil}, // the wrong kind of value, which fails
		{circle, `{"X":1}`, nil},
		{nil, `{"X":1}`, nil},
	} {
		var value any
		if err := json.Unmarshal([]byte(c.text), &value); err != nil {
			t.Fatal(err)
		}
		if got := c.schema.unknownFields(value, nil); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestCall_UnknownField: the call is made, and the user is warned, once for each field and
// after one request for the schema.
func TestCall_UnknownField(t *testing.T) {
	described := 0 // by one caller at a time
	s := &geerpc.Server{Admit: []func(context.Context, string) error{func(_ context.Context, serviceMethod string) error {
		if serviceMethod == "geerpc.Describe" {
			described++
		}
		return nil
	}}, Ordered: true}
	addr := serve(t, s, nil)
	const warning = "warning: main.Args has no field AA; did you mean A?\n"
	if o := geerpcRun(t, "call", addr, "Arith.Add", `{"AA":1,"b":2}`); o != (outcome{"2\n", warning, 0}) {
		t.Errorf("%+v", o)
	}
	geerpcRun(t, "call", addr, "Arith.Div", `{"AA":1}`).want(t, exitMethod, "", warning+"geerpc call: division by zero")
	geerpcRun(t, "call", addr, "Arith.Add", `{"AA":1}`, "-json").want(t, 0, "0\n", `{"warning":"main.Args has no field AA; did you mean A?"}`)
	described = 0
	if o := geerpcInput(t, strings.Repeat(`{"AA":1,"B":2}`+"\n", 3), "call", addr, "Arith.Add", "-"); o != (outcome{"2\n2\n2\n", warning, 0}) || described != 1 {
		t.Errorf("asked %d times: %+v", described, o)
	}
	off := serve(t, &geerpc.Server{DisableIntrospection: true}, nil)
	if o := geerpcRun(t, "call", off, "Arith.Add", `{"AA":1}`); o != (outcome{"0\n", "", 0}) {
		t.Errorf("without introspection: %+v", o)
	}
	url := startRegistry(t)
	serveRegistered(t, url, nil)
	geerpcRun(t, "call", url, "Arith.Add", `{"AA":1}`).want(t, 0, "0\n", warning)
	geerpcRun(t, "bench", addr, "Arith.Add", `{"AA":1}`, "-d", "20ms", "-q").want(t, 0, "p50", warning)
}
