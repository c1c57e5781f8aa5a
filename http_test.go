package geerpc

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"geerpc/codec"
)

// TestA19_BytesBehindCONNECT sends more than the CONNECT, or more than its
// answer, in one segment: what a buffer has read ahead must not be lost.
func TestA19_BytesBehindCONNECT(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		e := newEnv(t, "http", codec.GobType)
		e.start()
		conn, err := net.Dial("tcp", e.lis.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all := "CONNECT /_geeprc_ HTTP/1.0\r\n\r\n" + string(optionLine(t)) + string(oldCalls(t, 3))
		if _, err := io.WriteString(conn, all); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		for _, want := range []string{"HTTP/1.0 200 Connected to Gee RPC\r\n", "\r\n"} {
			if line, err := in.ReadString('\n'); line != want {
				t.Fatalf("line is %q, %v", line, err)
			}
		}
		expectOldReplies(t, in, 3)
	})
	t.Run("client", func(t *testing.T) {
		addr := double(t, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			http.ReadRequest(in)
			io.WriteString(conn, "HTTP/1.0 200 Connected to Gee RPC\r\n\r\n{\"OK\":true,\"Extended\":true}\n")
			in.ReadString('}') // the hello
			cc := codec.NewGobCodec(struct {
				io.Reader
				io.WriteCloser
			}{in, conn}).(codec.Extended).Extend()
			var h codec.Header
			if cc.ReadHeader(&h) == nil && cc.ReadBody(nil) == nil {
				h.Frame().Kind = codec.Reply
				cc.Write(&h, Reply{3})
			}
			io.Copy(io.Discard, in)
		})
		client, err := DialHTTP("tcp", addr, &Option{ConnectTimeout: patient})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		mustAdd(t, client)
	})
}

// TestB6_CONNECTAnswers has the client meet what is no RPC server.
func TestB6_CONNECTAnswers(t *testing.T) {
	cases := []struct{ name, answer, says string }{
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found", "404 Not Found"},
		{"200 and a page", "HTTP/1.0 200 OK\r\n\r\n<!DOCTYPE html>", "no acknowledgement"},
		{"proxy asks for a password", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"},
		{"noise", "\x00\x01\x02 this is no HTTP\r\n\r\n", ""},
		{"hung up", "", ""},
		{"header without end", "HTTP/1.0 200 Connected to Gee RPC\r\nX: " + strings.Repeat("x", 1<<20), ""},
		{"status without end", "HTTP/1.0 500 " + strings.Repeat("x", 1<<20) + "\r\n\r\n", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			addr := double(t, func(conn net.Conn) {
				http.ReadRequest(bufio.NewReader(conn))
				io.WriteString(conn, c.answer)
			})
			_, err := DialHTTP("tcp", addr, &Option{ConnectTimeout: patient})
			wantError(t, err, CodeUnavailable, OnLink, RanNever)
			if !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1024 {
				t.Errorf("error is %.2000q, want %q", err, c.says)
			}
		})
	}
	t.Run("wrong path", func(t *testing.T) {
		_, err := newEnv(t, "http", codec.GobType).tryDial(&Option{HTTPPath: "/elsewhere"})
		wantError(t, err, CodeUnavailable, OnLink, RanNever)
		if !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "/elsewhere") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("not CONNECT", func(t *testing.T) {
		w := httptest.NewRecorder()
		NewServer().ServeHTTP(w, httptest.NewRequest(http.MethodGet, defaultRPCPath, nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST, CONNECT" {
			t.Errorf("answer is %d, %v", w.Code, w.Header())
		}
	})
	t.Run("no connection to take over", func(t *testing.T) {
		w := httptest.NewRecorder()
		NewServer().ServeHTTP(w, httptest.NewRequest(http.MethodConnect, defaultRPCPath, nil))
		if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "HTTP/1.1") {
			t.Errorf("answer is %d, %s", w.Code, w.Body)
		}
	})
}

// freshMux gives the test a default mux of its own.
func freshMux(t *testing.T) *http.ServeMux {
	old := http.DefaultServeMux
	http.DefaultServeMux = http.NewServeMux()
	t.Cleanup(func() { http.DefaultServeMux = old })
	return http.DefaultServeMux
}

// TestA22_TwoServers puts two servers on the default mux, where there is room
// for one: no panic, no silence, and the first goes on.
func TestA22_TwoServers(t *testing.T) {
	mux := freshMux(t)
	log := new(logCount)
	first, second := &Server{Logger: slog.New(log)}, &Server{Logger: slog.New(log)}
	first.HandleHTTP()
	first.HandleHTTP()
	if lines := log.all(); len(lines) > 0 {
		t.Errorf("the first server logged %q", lines)
	}
	second.HandleHTTP()
	lines := log.all()
	if len(lines) != 2 || !strings.Contains(lines[0], defaultRPCPath) || !strings.Contains(lines[1], defaultDebugPath) || !strings.Contains(lines[0], "Handle(path, server)") {
		t.Errorf("the second server logged %q", lines)
	}
	for path, want := range map[string]http.Handler{defaultRPCPath: first, defaultDebugPath: first.DebugHandler()} {
		if got, _ := mux.Handler(httptest.NewRequest(http.MethodConnect, path, nil)); got != want {
			t.Errorf("%s is served by another", path)
		}
	}
}

// TestA22_ManyServersAtOnce has servers race for the default mux. Between the
// look whether a path is free and its registration another may take it, and
// http.Handle panics then.
func TestA22_ManyServersAtOnce(t *testing.T) {
	for range 50 {
		mux := freshMux(t)
		log := new(logCount)
		var wg sync.WaitGroup
		for range 8 {
			s := &Server{Logger: slog.New(log)}
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("panic: %v", p)
					}
				}()
				s.HandleHTTP()
			})
		}
		wg.Wait()
		if n := len(log.all()); n != 2*7 {
			t.Errorf("%d lines logged, want two of each server that was late", n)
		}
		if _, pattern := mux.Handler(httptest.NewRequest(http.MethodConnect, defaultRPCPath, nil)); pattern != defaultRPCPath {
			t.Error("nobody got the path")
		}
	}
}

// TestA22_OwnMux has two servers in one process on paths of one mux.
func TestA22_OwnMux(t *testing.T) {
	mux := http.NewServeMux()
	for i, path := range []string{"/one", "/two"} {
		s := NewServer()
		if err := RegisterFunc(s, "Which.Server", func(context.Context, int) (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
		mux.Handle(path, s)
		mux.Handle(path+"/debug", s.DebugHandler())
		defer s.Close()
	}
	web := httptest.NewServer(mux)
	defer web.Close()
	for i, path := range []string{"/one", "/two"} {
		client, err := DialHTTP("tcp", web.Listener.Addr().String(), &Option{HTTPPath: path, ConnectTimeout: patient})
		if err != nil {
			t.Fatal(err)
		}
		n := -1
		if err := client.Call(context.Background(), "Which.Server", 0, &n); err != nil || n != i {
			t.Errorf("%s is served by %d, %v", path, n, err)
		}
		client.Close()
	}
}

// A pattern that the default mux can't tell from the path is reported, too.
func TestA22_ConflictingPattern(t *testing.T) {
	old := http.DefaultServeMux
	defer func() { http.DefaultServeMux = old }()
	http.DefaultServeMux = http.NewServeMux()
	http.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	var log strings.Builder
	s := &Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s.HandleHTTP()
	if !strings.Contains(log.String(), "another handler has the path") {
		t.Errorf("log: %q", log.String())
	}
}
