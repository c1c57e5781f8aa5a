package main

import (
	"strings"
	"testing"

	"geerpc"
	"geerpc/codec"
	"geerpc/internal/introspect"
)

func TestList(t *testing.T) {
	addr := serve(t, nil, nil)
	const all = "Arith.Add\nArith.Div\nArith.Neg\nArith.Wait\n"
	for _, args := range [][]string{{"list", addr}, {"list", addr, "Arith"}, {"list", "tcp@" + addr}, {"list", "-timeout", "20s", addr, "-tls=false"}} {
		if o := geerpcRun(t, args...); o.out != all || o.exit != 0 || o.log != "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
	long := geerpcRun(t, "list", addr, "-l")
	long.want(t, 0, "Add(ctx context.Context, args main.Args, reply *int) error", "")
	long.want(t, 0, "Arith.Broken  can't be called: it does not", "")
	var methods []listedMethod
	geerpcRun(t, "list", addr, "-json").decode(t, &methods)
	if len(methods) != 5 || methods[0].Method != "Arith.Add" || methods[0].Signature == "" || methods[4].Skipped == "" {
		t.Errorf("%+v", methods)
	}
	geerpcRun(t, "list", addr, "Arit").want(t, exitBadCall, "", "did you mean Arith?")
	geerpcRun(t, "list", addr, "geerpc").want(t, 0, introspect.Describe+"\n", "")
}

func TestDescribe(t *testing.T) {
	addr := serve(t, nil, nil)
	o := geerpcRun(t, "describe", addr, "Arith.Div")
	for _, want := range []string{"func Div(args *main.Args, reply *main.Quotient) error", "    type main.Quotient struct {\n        Quo int\n        Rem int\n    }"} {
		o.want(t, 0, want, "")
	}
	if strings.Contains(o.out, "Add") || strings.Contains(o.out, "$schema") {
		t.Errorf("too much:\n%s", o.out)
	}
	// The example is a command for a shell.
	_, example, _ := strings.Cut(o.out, "geerpc call ")
	example, _, _ = strings.Cut(example, "\n")
	words := strings.Fields(strings.ReplaceAll(example, "'", ""))
	geerpcRun(t, append([]string{"call"}, words...)...).want(t, 0, `"Quo": 1`, "")

	geerpcRun(t, "describe", addr, "Arith.Div", "-schema").want(t, 0, `"$ref": "#/$defs/main.Args"`, "")
	geerpcRun(t, "describe", addr, "Arith").want(t, 0, "Arith.Broken can't be called", "")
	var s introspect.ServiceInfo
	geerpcRun(t, "describe", addr, "Arith.Add", "-json").decode(t, &s)
	if s.Name != "Arith" || len(s.Methods) != 1 || string(s.Methods[0].Args.Example) != `{"A":1,"B":1}` {
		t.Errorf("%+v", s)
	}
	geerpcRun(t, "describe", addr, "Arith.Broken").want(t, exitBadCall, "", "can't be called: it does not")
	geerpcRun(t, "describe", addr, "Arith.ad").want(t, exitBadCall, "", "did you mean Add?")
	geerpcRun(t, "describe", addr, "Arit.Add").want(t, exitBadCall, "", "did you mean Arith?")
}

// TestPrintable: what a server says does not control the terminal.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[31mé\tb\u009b\r\x00\xff\n"); got != "a�[31mé\tb����\n" {
		t.Errorf("%q", got)
	}
	s := geerpc.NewServer()
	if err := s.RegisterName("\x1b[2J", Arith{}); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, s, nil)
	for _, args := range [][]string{{"list", addr}, {"describe", addr, "\x1b[2J"}, {"watch", addr, "-n", "1", "-all"}, {"call", addr, "\x1b[2J.Nope"}} {
		if o := geerpcRun(t, args...); strings.Contains(o.out+o.log, "\x1b") || !strings.Contains(o.out+o.log, "�[2J") {
			t.Errorf("%q: %q", args[0], o)
		}
	}
	empty := &geerpc.Server{}
	lis := listenTCP(t)
	served := make(chan error, 1)
	go func() { served <- empty.Serve(lis) }() // ends with Close
	geerpcRun(t, "list", lis.Addr().String()).want(t, 0, "", "no services")
	empty.Close()
	<-served
}

// TestDescribe_Servers: of a server without JSON, one that does not describe itself, and
// none.
func TestDescribe_Servers(t *testing.T) {
	gobOnly := serve(t, &geerpc.Server{Codecs: []codec.Type{codec.GobType}}, nil)
	geerpcRun(t, "describe", gobOnly, "Arith.Add").want(t, 0, "type main.Args struct", "")
	geerpcRun(t, "call", gobOnly, "Arith.Add").want(t, exitBadCall, "", "application/json: is it among the server's Codecs?")
	off := serve(t, &geerpc.Server{DisableIntrospection: true}, nil)
	geerpcRun(t, "list", off).want(t, exitBadCall, "", "DisableIntrospection")
	geerpcRun(t, "call", off, "Arith.Neg", "4").want(t, 0, "-4\n", "")
	geerpcRun(t, "list", nobody(t)).want(t, exitUnavailable, "", "is the server running")
}
