package geerpc

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"geerpc/codec"
)

// A brokenError is an error whose methods do what act does, but for Is when
// Error is what is broken and the other way round.
type brokenError struct {
	text, is func()
}

func (e brokenError) Error() string {
	if e.text != nil {
		e.text()
	}
	return "broken"
}

func (e brokenError) Is(error) bool {
	if e.is != nil {
		e.is()
	}
	return false
}

// brokenErrors are errors that break in each way.
func brokenErrors() map[string]error {
	panics, exits := func() { panic("on purpose") }, func() { runtime.Goexit() }
	return map[string]error{
		"Is panics":    brokenError{is: panics},
		"Error panics": brokenError{text: panics},
		"Error exits":  brokenError{text: exits},
	}
}

// A badArgument can't be encoded, because of err.
type badArgument struct{ err error }

func (a badArgument) MarshalJSON() ([]byte, error) { return nil, a.err }
func (a badArgument) GobEncode() ([]byte, error)   { return nil, a.err }
func (*badArgument) GobDecode([]byte) error        { return nil }

// The error of an argument is asked what it is, on the goroutine that sends for
// all.
func TestE161_ErrorOfAnArgument(t *testing.T) {
	for name, broken := range brokenErrors() {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, e *env) {
				c := e.dial(nil)
				for _, together := range []bool{false, true} {
					c.repliesBatched.Store(together)
					err := c.Call(t.Context(), "Arith.Add", badArgument{broken}, nil)
					wantError(t, err, CodeInvalidArgument, InClient, RanNever)
					call := <-c.Go("Arith.Add", badArgument{broken}, nil, nil).Done
					wantError(t, call.Error, CodeInvalidArgument, InClient, RanNever)
				}
				mustAdd(t, c)
			})
		})
	}
}

// The error of a reply is asked too, on the goroutine that answers for all.
func TestE161_ErrorOfAReply(t *testing.T) {
	for name, broken := range brokenErrors() {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", codec.JsonType)
			RegisterFunc(e.Server, "Bad.Reply", func(context.Context, Args) (badArgument, error) { return badArgument{broken}, nil })
			c := e.dial(nil)
			err := c.Call(t.Context(), "Bad.Reply", Args{}, nil)
			wantError(t, err, CodeInternal, InMethod, RanYes)
			mustAdd(t, c)
		})
	}
}

// An errConn is a connection whose errors are err.
type errConn struct {
	net.Conn
	err error
}

func (c *errConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.err
	}
	return n, err
}

func (c *errConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.err
	}
	return n, err
}

// The error of a connection is asked what it is when its calls are ended.
func TestE162_ErrorOfAConnection(t *testing.T) {
	errs := brokenErrors()
	errs["Error blocks"] = nil // made in the bubble
	for name, broken := range errs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				defer close(end)
				if broken == nil {
					broken = brokenError{text: func() { <-end }}
				}
				near, far := net.Pipe()
				go io.WriteString(far, plainWelcome)
				go io.Copy(io.Discard, far)
				c, err := NewClient(&errConn{near, broken}, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				ended := make(chan error, 2)
				for range 2 {
					go func() { ended <- c.Call(t.Context(), "Arith.Add", Args{}, nil) }()
				}
				synctest.Wait()
				far.Close()
				for range 2 {
					select {
					case err := <-ended:
						wantError(t, err, CodeUnavailable, OnLink, RanMaybe)
					case <-time.After(time.Minute):
						t.Fatal("a call hangs after the connection's end")
					}
				}
			})
		})
	}
}

// A server asks it, too, and then tells its Logger.
func TestE162_ErrorOfAServersConnection(t *testing.T) {
	for name, broken := range brokenErrors() {
		t.Run(name, func(t *testing.T) {
			logger, log := listenIn()
			s := &Server{Logger: logger}
			if err := s.Register(new(Arith)); err != nil {
				t.Fatal(err)
			}
			near, far := net.Pipe()
			served := make(chan struct{})
			go func() {
				defer close(served)
				s.ServeConn(&errConn{far, broken})
			}()
			c, err := NewClient(near, nil)
			if err != nil {
				t.Fatal(err)
			}
			mustAdd(t, c)
			near.Close()
			<-served
			c.Close()
			s.Close()
			if text := log.String(); !strings.Contains(text, "broken") && !strings.Contains(text, "brokenError, whose Error method") {
				t.Errorf("logged is %s", text)
			}
		})
	}
}
