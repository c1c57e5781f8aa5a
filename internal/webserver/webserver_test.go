package webserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve serves one end of a connection, and returns the other one.
func serve(s *Server, state *tls.ConnectionState, leave func()) (client net.Conn, ended chan bool) {
	client, server := net.Pipe()
	client.SetDeadline(time.Now().Add(10 * time.Second))
	ended = make(chan bool, 1)
	go func() { ended <- s.Serve(server, state, leave) }() // ends with the connection
	return client, ended
}

// Requests are served until the client hangs up, and know of TLS although net/http can't
// see it.
func TestServe(t *testing.T) {
	s := &Server{Log: func(line string) { t.Error(line) }}
	s.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, req.TLS.ServerName)
	})
	client, ended := serve(s, &tls.ConnectionState{ServerName: "example"}, nil)
	in := bufio.NewReader(client)
	for range 2 {
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := io.ReadAll(response.Body); string(text) != "example" {
			t.Errorf("answer is %q", text)
		}
	}
	client.Close()
	if <-ended {
		t.Error("it counts as taken back")
	}
}

// A connection that is taken back is as it was, and Serve waits until it is over.
func TestTakeBack(t *testing.T) {
	s := new(Server)
	left := make(chan bool, 1)
	release := make(chan func(), 1)
	s.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		hijacked, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		below, done := TakeBack(hijacked)
		io.WriteString(below, "yours")
		release <- done
	})
	client, ended := serve(s, nil, func() { left <- true })
	go io.WriteString(client, "CONNECT / HTTP/1.0\r\n\r\n") // ends with the connection
	said := make([]byte, 5)
	if _, err := io.ReadFull(client, said); err != nil || string(said) != "yours" {
		t.Errorf("%q, %v", said, err)
	}
	<-left
	select {
	case <-ended:
		t.Error("Serve has not waited")
	default:
	}
	(<-release)()
	if !<-ended {
		t.Error("it does not count as taken back")
	}
	client.Close()
	other, done := TakeBack(client)
	if done(); other != client {
		t.Error("another connection was changed")
	}
}

// Once it has been shut down, idle connections are closed, and new ones at once.
func TestShutdown(t *testing.T) {
	s := &Server{HTTP: http.Server{Handler: http.NotFoundHandler()}}
	client, ended := serve(s, nil, nil)
	in := bufio.NewReader(client)
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusNotFound {
		t.Fatal(response, err)
	} else {
		io.Copy(io.Discard, response.Body)
	}
	s.Shutdown(context.Background())
	<-ended
	client.Close()
	late, ended := serve(s, nil, nil)
	<-ended
	if _, err := late.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// A client that sends nothing of a body, or takes nothing of an answer, is given up. One that
// is slow is not.
func TestSlowClients(t *testing.T) {
	const timeout = time.Second
	for name, c := range map[string]struct {
		head string
		slow time.Duration // between two bytes of the body, and two reads of the answer
		gone bool
	}{
		"slow":                    {"Content-Length: 3", timeout * 9 / 10, false},
		"too slow":                {"Content-Length: 3", timeout * 11 / 10, true},
		"too slow for the answer": {"Content-Length: 0", timeout * 11 / 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{ReadTimeout: timeout, WriteTimeout: timeout}
				s.HTTP.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if _, err := io.ReadAll(req.Body); err == nil {
						w.Write(make([]byte, 5*writePiece))
					}
				})
				client, ended := serve(s, nil, nil)
				client.SetDeadline(time.Time{})
				io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\n"+c.head+"\r\n\r\n")
				for i := 0; i < 3 && c.head == "Content-Length: 3"; i++ {
					time.Sleep(c.slow)
					io.WriteString(client, "x")
				}
				got := 0
				for piece := make([]byte, writePiece); got < 5*writePiece; {
					time.Sleep(c.slow)
					n, err := io.ReadFull(client, piece)
					if got += n; err != nil {
						break
					}
				}
				if gone := got < 5*writePiece; gone != c.gone {
					t.Errorf("%d bytes of the answer came", got)
				}
				client.Close()
				<-ended
			})
		})
	}
}

// What net/http logs is passed on.
func TestLog(t *testing.T) {
	lines := make(chan string, 10)
	s := &Server{Log: func(line string) { lines <- line }}
	s.HTTP.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a handler's") })
	client, ended := serve(s, nil, nil)
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-ended
	if line := <-lines; !strings.Contains(line, "a handler's") {
		t.Errorf("logged %q", line)
	}
}
