package geerpc

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"geerpc/codec"
	"geerpc/internal/introspect"
)

// A function may have a name without a dot. It is called by that name, and shown.
func TestRegisterFunc_WithoutService(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	subtract := func(_ context.Context, args Args) (int, error) { return args.A - args.B, nil }
	if err := RegisterFunc(e.Server, "subtract", subtract); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"subtract", ".subtract", "subtract.", ".", ""} {
		if err := RegisterFunc(e.Server, name, subtract); err == nil {
			t.Errorf("%q is taken, or no name, and was registered", name)
		}
	}
	client := e.dial(nil)
	var difference int
	if err := client.Call(t.Context(), "subtract", Args{7, 3}, &difference); err != nil || difference != 4 {
		t.Errorf("%d, %v", difference, err)
	}
	err := client.Call(t.Context(), "divide", Args{7, 3}, nil)
	wantError(t, err, CodeInvalidArgument, InServer, RanNever)
	if names := e.Services(); slices.Contains(names, "") {
		t.Errorf("services are %q", names)
	}
	var d introspect.Description
	if err := client.Call(t.Context(), introspect.Describe, introspect.Args{}, &d); err != nil || d.Services[0].Name != "" || d.Services[0].Methods[0].Name != "subtract" {
		t.Errorf("%+v, %v", d.Services, err)
	}
	for query, want := range map[string]string{"": "\nsubtract ", "?format=html": "<h3>Functions without a service</h3>", "?format=html&method=subtract": "</a> › subtract</h2>"} {
		page := httptest.NewRecorder()
		e.DebugHandler().ServeHTTP(page, httptest.NewRequest("GET", "/debug/geerpc"+query, nil))
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page %q has no %q: %s", query, want, page.Body)
		}
	}
}
