package geerpc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
)

// eachWhole runs f over every transport with a codec of the user's own.
func eachWhole(t *testing.T, f func(t *testing.T, e *env)) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) { f(t, newEnv(t, transport, wholeType)) })
	}
}

// TestOwnCodec_Calls has a codec of the user's own on both sides: calls, errors
// of every origin, a reply nobody wants, and a call whose caller leaves.
func TestOwnCodec_Calls(t *testing.T) {
	eachWhole(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		good := func(i int) {
			t.Helper()
			var reply Reply
			if err := client.Call(context.Background(), "Arith.Add", Args{i, 1}, &reply); err != nil || reply.C != i+1 {
				t.Errorf("Add(%d, 1) = %d, %v", i, reply.C, err)
			}
		}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { good(i) })
		}
		wg.Wait()
		cases := []struct {
			name, method string
			args         any
			text         string // "" is success
		}{
			{"method's error", "Arith.Div", Args{1, 0}, "100% of load: division by zero"},
			{"unknown method", "Arith.Nothing", Args{}, "rpc server: can't find method Nothing of service Arith"},
			{"unknown service", "Nothing.At.All", "a string", "rpc server: can't find service Nothing.At"},
			{"panic", "Arith.Panic", Args{}, "rpc server: method Arith.Panic panicked: out of coffee"},
			{"nil reply", "Arith.Add", Args{1, 1}, ""},
		}
		for i, c := range cases {
			err := client.Call(context.Background(), c.method, c.args, nil)
			if c.text == "" && err != nil || c.text != "" && (err == nil || err.Error() != c.text) {
				t.Errorf("%s: %v, want %q", c.name, err, c.text)
			}
			good(i)
		}
		err := client.Call(context.Background(), "Arith.Add", "a string", nil)
		if err == nil {
			t.Error("a string was taken for Args")
		}
		good(1)
	})
}

// TestA10_OwnCodecReplyPointer checks that replies which can't take what comes
// cost their own call only.
func TestA10_OwnCodecReplyPointer(t *testing.T) {
	eachWhole(t, func(t *testing.T, e *env) {
		client := e.dial(nil)
		for name, reply := range map[string]any{
			"another type": new(chan int), "no pointer": Reply{}, "nil pointer": (*Reply)(nil),
		} {
			if err := client.Call(context.Background(), "Arith.Add", Args{1, 1}, reply); err == nil {
				t.Errorf("%s: no error", name)
			}
			var good Reply
			if err := client.Call(context.Background(), "Arith.Add", Args{1, 1}, &good); err != nil || good.C != 2 {
				t.Errorf("after %s: %d, %v", name, good.C, err)
			}
		}
	})
}

// TestA13_OwnCodecReplyAgainstCancel cancels calls around the time when their
// replies arrive. Whoever loses, the reply is the caller's once Call has
// returned: the race detector sees a decoder that is late.
func TestA13_OwnCodecReplyAgainstCancel(t *testing.T) {
	eachWhole(t, func(t *testing.T, e *env) { cancelRounds(t, e.dial(nil), 300) })
}

// cancelRounds makes calls that are cancelled at about the time when their
// reply arrives, and writes to the reply as soon as Call has returned.
func cancelRounds(t *testing.T, client *Client, rounds int) {
	var replied, cancelled int
	for i := range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(rand.IntN(400))*time.Microsecond, cancel)
		var reply Reply
		err := client.Call(ctx, "Arith.Add", Args{i, 1}, &reply)
		switch {
		case err == nil && reply.C == i+1:
			replied++
		case errors.Is(err, context.Canceled) && reply.C == 0:
			cancelled++
		default:
			t.Fatalf("round %d: %+v, %v", i, reply, err)
		}
		reply.C = -1
		timer.Stop()
		cancel()
	}
	t.Logf("%d replied, %d cancelled", replied, cancelled)
}

// TestA13_OwnCodecBodyCutInHalf stops the reply in the middle of its body. The
// decoder has begun, and waits; the caller must be able to leave all the same
// and to use the reply's memory while the rest arrives.
func TestA13_OwnCodecBodyCutInHalf(t *testing.T) {
	var out bytes.Buffer
	enc := gob.NewEncoder(&out)
	rest := make(chan bool)
	server, end := net.Pipe()
	defer server.Close()
	server.SetDeadline(time.Now().Add(patient))
	var wg sync.WaitGroup
	wg.Go(func() {
		welcome(t, server)
		in := newWholeCodec(server)
		for range 2 {
			var h codec.Header
			if in.ReadHeader(&h) != nil || in.ReadBody(nil) != nil {
				t.Error("no request")
				return
			}
			out.Reset()
			enc.Encode(h)
			enc.Encode(Reply{int(h.Seq)})
			server.Write(out.Next(out.Len() - 1))
			<-rest
			server.Write(out.Bytes())
		}
	})
	client, err := NewClient(end, &Option{CodecType: wholeType, ConnectTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	var reply Reply
	wantError(t, client.Call(ctx, "Arith.Add", Args{}, &reply), CodeDeadlineExceeded, OnLink, RanMaybe)
	close(rest)
	reply.C = 100
	var second Reply
	if err := client.Call(context.Background(), "Arith.Add", Args{}, &second); err != nil || second.C != 2 || reply.C != 100 {
		t.Errorf("%v, second reply %d, first %d", err, second.C, reply.C)
	}
	wg.Wait()
}

// TestA9_OwnCodecUnencodable checks that a codec which closes its connection
// when a value can't be encoded costs that connection and nothing else.
func TestA9_OwnCodecUnencodable(t *testing.T) {
	e := newEnv(t, "tcp", wholeType)
	client, bystander := e.dial(nil), e.dial(nil)
	if err := client.Call(context.Background(), "Arith.Add", make(chan int), nil); err == nil {
		t.Error("a channel was encoded")
	}
	eventually(t, "the client notices", func() bool { return !client.IsAvailable() })
	if err := client.Call(context.Background(), "Arith.Add", Args{}, nil); !errors.Is(err, ErrShutdown) {
		t.Errorf("on a broken connection: %v", err)
	}
	if err := bystander.Call(context.Background(), "Arith.Add", Args{}, nil); err != nil {
		t.Error(err)
	}
}

// cutShort is a value that panics, or ends its goroutine, when it is encoded.
type cutShort struct{ how func() }

func (c cutShort) GobEncode() ([]byte, error) { c.how(); return nil, nil }
func (*cutShort) GobDecode([]byte) error      { return nil }

// A value that cuts the encoding short leaves its header behind in the buffer
// of a codec of the user's own. The next message would make a body for it, so
// the connection ends before that.
func TestOwnCodec_CutShort(t *testing.T) {
	for name, how := range map[string]func(){"panic": func() { panic("no") }, "exit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "pipe", wholeType)
			RegisterFunc(e.Server, "Test.Cut", func(context.Context, Args) (cutShort, error) { return cutShort{how}, nil })
			client := e.dial(nil)
			wantError(t, client.Call(t.Context(), "Test.Cut", Args{}, new(Reply)), CodeUnavailable, OnLink, RanMaybe)

			client = e.dial(nil)
			ended := make(chan struct{})
			go func() { // which how may end
				defer close(ended)
				client.Call(t.Context(), "Arith.Add", cutShort{how}, nil)
			}()
			<-ended
			eventually(t, "the end of the connection", func() bool { return !client.IsAvailable() })
		})
	}
}

// TestA111_NilConstructor has peers agree on a codec whose constructor is nil,
// or returns nil or panics: Dial fails, in a way that tells which end it is.
func TestA111_NilConstructor(t *testing.T) {
	const name codec.Type = "test/none"
	constructors := map[string]codec.NewCodecFunc{
		"constructor is nil": nil,
		"returned nil":       func(io.ReadWriteCloser) codec.Codec { return nil },
		"panicked":           func(io.ReadWriteCloser) codec.Codec { panic("no codec") },
	}
	for want, newCodec := range constructors {
		t.Run(want, func(t *testing.T) {
			codec.Register(name, newCodec)
			defer codec.Register(name, nil)
			e := newEnv(t, "tcp", name)
			_, err := e.tryDial(nil)
			var typed *Error
			if !errors.As(err, &typed) || typed.Where != InClient || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), string(name)) > 1 {
				t.Errorf("Dial: %v", err)
			}
			p := e.handshake(nil)
			if p.ack.OK || Code(p.ack.Code) == CodeOK || !strings.Contains(p.ack.Error, want) {
				t.Errorf("acknowledgement is %+v", p.ack)
			}
		})
	}
}
