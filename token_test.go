package geerpc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"geerpc/codec"
	"geerpc/internal/handshake"
)

// TestE48_Tokens: only the very token opens the door. Whoever has another one, or none,
// is told so, in words that have neither token in them; and neither has the log, at any
// level.
func TestE48_Tokens(t *testing.T) {
	const secret = "open-sesame"
	huge := strings.Repeat("open-sesame", handshake.MaxBytes/len(secret)-50) // near the limit of a handshake
	for name, presented := range map[string]string{
		"none": "", "another": "open-Sesame", "its beginning": "open-sesam", "longer": secret + "s", "with a blank": secret + " ",
		"with a NUL": secret + "\x00", "huge": huge,
	} {
		for _, c := range codecs {
			t.Run(name+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, "tcp", c)
				logger, logged := listenIn()
				e.Token, e.Logger = secret, logger
				clientLogger, clientLogged := listenIn()
				_, err := e.tryDial(&Option{Token: presented, Logger: clientLogger})
				wantError(t, err, CodeUnauthenticated, InServer, RanNever)
				e.idle()
				e.Close() // which waits for the Logger
				for what, text := range map[string]string{"error": err.Error(), "server's log": logged.String(), "client's log": clientLogged.String()} {
					if strings.Contains(strings.ToLower(text), "sesam") {
						t.Errorf("the %s says %.200q", what, text)
					}
				}
				if logged.String() == "" {
					t.Error("the server logged nothing")
				}
			})
		}
	}
	t.Run("right", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.GobType)
		logger, logged := listenIn()
		e.Token, e.Logger = secret, logger
		if err := e.dial(&Option{Token: secret, Logger: logger}).Call(t.Context(), "Arith.Add", Args{1, 2}, nil); err != nil {
			t.Error(err)
		}
		e.Close()
		if strings.Contains(logged.String(), "sesam") {
			t.Errorf("logged %q", logged)
		}
	})
	t.Run("printed", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.GobType)
		e.Token = secret
		client := e.dial(&Option{Token: secret})
		for _, v := range []any{client, e.Server} {
			logger, logged := listenIn()
			logger.Info("here", "value", v)
			if text := fmt.Sprintf("%v %+v %#v %s", v, v, v, v) + logged.String(); strings.Contains(text, "sesam") {
				t.Errorf("%T prints %s", v, text)
			}
		}
	})
	t.Run("one that nobody asked for", func(t *testing.T) {
		e := newEnv(t, "tcp", codec.GobType)
		if err := e.dial(&Option{Token: secret}).Call(t.Context(), "Arith.Add", Args{1, 2}, nil); err != nil {
			t.Error(err)
		}
	})
}

// TestE48_ConstantTime: nothing in the module compares a token by == or !=, except with
// the empty string, because that takes longer the more of it is right.
func TestE48_ConstantTime(t *testing.T) {
	isToken := func(e ast.Expr) bool {
		name := ""
		switch e := e.(type) {
		case *ast.Ident:
			name = e.Name
		case *ast.SelectorExpr:
			name = e.Sel.Name
		}
		return strings.HasSuffix(strings.ToLower(name), "token")
	}
	isEmpty := func(e ast.Expr) bool {
		text, ok := e.(*ast.BasicLit)
		return ok && text.Value == `""`
	}
	compared := 0
	walkGo(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			b, ok := n.(*ast.BinaryExpr)
			if !ok || b.Op != token.EQL && b.Op != token.NEQ || !isToken(b.X) && !isToken(b.Y) {
				return true
			}
			if compared++; !isEmpty(b.X) && !isEmpty(b.Y) {
				t.Errorf("%v: use token.Equal", files.Position(b.Pos()))
			}
			return true
		})
	})
	if compared == 0 {
		t.Error("no comparison was found, not even with the empty string")
	}
}
