package geerpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A Parcel is a large message.
type Parcel struct {
	Data []byte
	Text string
	Tags map[string]string
}

// Post is a service that takes parcels, and gives them.
type Post struct{}

// Take returns how much was in the parcel.
func (Post) Take(p Parcel, n *int) error { *n = p.size(); return nil }

// Give returns a parcel with so much in it.
func (Post) Give(n int, p *Parcel) error { *p = parcel(n); return nil }

// Fail takes a parcel, and puts its text into an error.
func (Post) Fail(p Parcel, _ *int) error { return errors.New(p.Text) }

func parcel(n int) Parcel {
	return Parcel{bytes.Repeat([]byte("d"), n/3), strings.Repeat("t", n/3), map[string]string{"tag": strings.Repeat("g", n/3)}}
}

func (p *Parcel) size() int { return len(p.Data) + len(p.Text) + len(p.Tags["tag"]) }

// largeParcel is how much is in a parcel: more than is gathered for one flush.
const largeParcel = 1_200_000

// largeCalls are ways to have a large message pass a connection.
var largeCalls = map[string]func(client *Client) error{
	"argument": func(client *Client) error {
		var n int
		err := client.Call(context.Background(), "Post.Take", parcel(largeParcel), &n)
		return errors.Join(err, wantSize(n))
	},
	"reply": func(client *Client) error {
		var p Parcel
		err := client.Call(context.Background(), "Post.Give", largeParcel, &p)
		return errors.Join(err, wantSize(p.size()))
	},
	"argument of Go": func(client *Client) error {
		var n int
		call := <-client.Go("Post.Take", parcel(largeParcel), &n, nil).Done
		return errors.Join(call.Error, wantSize(n))
	},
	"error": func(client *Client) error {
		err := client.Call(context.Background(), "Post.Fail", parcel(largeParcel), nil)
		if CodeOf(err) != CodeUnknown {
			return fmt.Errorf("no error of the method: %w", err)
		}
		return nil
	},
	"argument of a method that is missing": func(client *Client) error {
		if err := client.Call(context.Background(), "Post.Lose", parcel(largeParcel), nil); CodeOf(err) != CodeNotFound && CodeOf(err) != CodeUnknown {
			return fmt.Errorf("missing: %w", err)
		}
		return nil
	},
	"two at a time": func(client *Client) error {
		one := client.Go("Post.Give", largeParcel, new(Parcel), nil)
		two := client.Go("Post.Take", parcel(largeParcel), new(int), nil)
		return errors.Join((<-one.Done).Error, (<-two.Done).Error)
	},
}

// wantSize checks how much has arrived.
func wantSize(n int) error {
	if n < largeParcel-3 {
		return fmt.Errorf("%d bytes arrived", n)
	}
	return nil
}

// TestD122_IdleAfterLargeMessage weighs connections, both ends of them, that
// have made small calls, and again after each has carried one large message and
// come to rest: it holds nothing of it. (crypto/tls keeps some buffers of its
// own, of a record's size.)
func TestD122_IdleAfterLargeMessage(t *testing.T) {
	most := map[string]int64{"pipe": 8 << 10, "tcp": 8 << 10, "tls": 96 << 10}
	for transport, most := range most {
		for _, c := range codecs {
			for _, legacy := range []bool{false, true} {
				for name, call := range largeCalls {
					if transport != "tcp" && name != "two at a time" {
						continue // the codecs know nothing of the transport
					}
					t.Run(fmt.Sprintf("%s/%s/legacy %v/%s", transport, c, legacy, name), func(t *testing.T) {
						e := newEnv(t, transport, c)
						e.keeps(&Option{Legacy: legacy}, call, most)
					})
				}
			}
		}
	}
}

// TestD122_WaysToRun is TestD122_IdleAfterLargeMessage for servers that run
// calls in another way: in order, under a time limit, in an interceptor.
func TestD122_WaysToRun(t *testing.T) {
	pass := func(next CallFunc) CallFunc {
		return func(ctx context.Context, serviceMethod string, args, reply any) error {
			return next(ctx, serviceMethod, args, reply)
		}
	}
	servers := map[string]func(s *Server){
		"ordered":        func(s *Server) { s.Ordered = true },
		"handle timeout": func(s *Server) { s.HandleTimeout = time.Minute },
		"interceptor":    func(s *Server) { s.Interceptors = []Interceptor{pass} },
	}
	for server, set := range servers {
		for name, call := range largeCalls {
			t.Run(server+"/"+name, func(t *testing.T) {
				e := newEnv(t, "tcp", framedJSON)
				set(e.Server)
				e.keeps(&Option{Interceptors: e.Interceptors}, call, 8<<10)
			})
		}
	}
}

// keeps fails the test if connections keep more than most bytes each of a call
// that they have carried.
func (e *env) keeps(o *Option, call func(client *Client) error, most int64) {
	e.t.Helper()
	const conns = 2
	if err := e.Register(Post{}); err != nil {
		e.t.Fatal(err)
	}
	clients := make([]*Client, conns)
	for i := range clients {
		clients[i] = e.dial(o)
		for range 2 * inlineAfter { // Take becomes a method that is quick
			if err := clients[i].Call(context.Background(), "Post.Take", Parcel{}, nil); err != nil {
				e.t.Fatal(err)
			}
		}
		if err := clients[i].Call(context.Background(), "Post.Give", 1, new(Parcel)); err != nil { // gob has met the type
			e.t.Fatal(err)
		}
	}
	before := e.atRest()
	for _, client := range clients {
		if err := call(client); err != nil {
			e.t.Fatal(err)
		}
	}
	eventually(e.t, fmt.Sprintf("a connection keeps no more than %d bytes", most), func() bool { // on a busy machine a reader may not have let go of the message
		return (e.atRest()-before)/conns <= most
	})
	runtime.KeepAlive(clients)
}

// atRest returns how many bytes are in use when the server has nothing to do:
// two collections empty what sync.Pools hold.
func (e *env) atRest() int64 {
	e.t.Helper()
	e.idleCalls()
	runtime.GC()
	return heapInUse()
}

// idleCalls waits until no call is left anywhere.
func (e *env) idleCalls() {
	e.t.Helper()
	conns := e.conns.Status().Conns
	for _, c := range conns {
		eventually(e.t, "the calls have ended", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.state.unanswered == 0
		})
	}
	<-time.After(5 * time.Millisecond) // goroutines that are about to rest
}
