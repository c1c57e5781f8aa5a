package geerpc

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/monotime"
)

// C17: names that a peer makes up are neither remembered nor repeated at
// length, nor do they fill the log.
func TestC17_FloodOfUnknownMethods(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			logger, log := listenIn()
			e.Logger = logger
			labels := map[string]int{} // guarded by mu
			var mu sync.Mutex
			e.Interceptors = []Interceptor{func(next CallFunc) CallFunc {
				return func(ctx context.Context, serviceMethod string, args, reply any) error {
					mu.Lock()
					labels[serviceMethod]++
					mu.Unlock()
					return next(ctx, serviceMethod, args, reply)
				}
			}}
			client := e.dial(nil)
			ctx := context.Background()
			before := heapInUse()
			const calls = 12
			for i := range calls {
				name := strings.Repeat(string(rune('a'+i%26)), 1<<20)
				code := CodeInvalidArgument
				if i%2 == 0 {
					name, code = "Arith."+name, CodeNotFound
				}
				err := client.Call(ctx, name, Args{1, 2}, nil)
				wantError(t, err, code, InServer, RanNever)
				if len(err.Error()) > 1<<10 {
					t.Fatalf("the error is %d bytes long", len(err.Error()))
				}
			}
			if grown := heapInUse() - before; grown > 16<<20 {
				t.Errorf("the heap has grown by %d bytes", grown)
			}
			mu.Lock()
			if len(labels) != 1 || labels[UnknownMethod] != calls {
				t.Errorf("%d labels, %d times %q", len(labels), labels[UnknownMethod], UnknownMethod)
			}
			mu.Unlock()
			if s := log.String(); s != "" {
				t.Errorf("the log has %d bytes: %.200q", len(s), s)
			}
			var reply Reply
			if err := client.Call(ctx, "Arith.Add", Args{1, 2}, &reply); err != nil || reply.C != 3 {
				t.Errorf("the next call: %d, %v", reply.C, err)
			}
		})
	}
}

// C18, framed layout: seqs are the client's to choose.
func TestC18_Seqs(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	p := e.byHand()
	t.Run("zero and wrapped", func(t *testing.T) {
		seqs := []uint64{0, math.MaxUint64, 0, 1 << 63, math.MaxUint64}
		for i, seq := range seqs {
			p.send(handAdd(seq, i, 100))
			if f := p.next(); f.seq != seq || f.sum(t) != i+100 {
				t.Fatalf("call %d: %+v", seq, f)
			}
		}
	})
	t.Run("reused one after the other", func(t *testing.T) {
		for i := range 1000 {
			p.send(handAdd(7, i, 1))
			if f := p.next(); f.seq != 7 || f.sum(t) != i+1 {
				t.Fatalf("round %d: %+v", i, f)
			}
		}
	})
	t.Run("live twice", func(t *testing.T) {
		p.send(handBlock(9), handAdd(9, 1, 1), handAdd(10, 1, 1))
		for range 2 { // in either order
			switch f := p.next(); {
			case f.seq == 10 && f.sum(t) == 2:
			case f.seq == 9 && Code(f.code) == CodeInvalidArgument && Ran(f.ran) == RanNever:
			default:
				t.Fatalf("unexpected: %+v", f)
			}
		}
		p.send(handFrame{kind: codec.Cancel, seq: 9})
		if f := p.next(); f.seq != 9 || Code(f.code) != CodeCanceled {
			t.Fatalf("the first call with seq 9: %+v", f)
		}
		p.send(handAdd(9, 2, 3))
		if f := p.next(); f.seq != 9 || f.sum(t) != 5 {
			t.Fatalf("seq 9 is not free again: %+v", f)
		}
	})
	t.Run("cancel of nothing", func(t *testing.T) {
		p.send(handFrame{kind: codec.Cancel, seq: 12345}, handAdd(11, 4, 4))
		if f := p.next(); f.seq != 11 || f.sum(t) != 8 {
			t.Fatalf("unexpected: %+v", f)
		}
	})
}

// C18, plain gob, as GeeRPC and net/rpc speak it.
func TestC18_SeqsOnPlainGob(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	release := make(chan struct{})
	running := make(chan struct{}, 1)
	RegisterFunc(e.Server, "Test.Wait", func(context.Context, Args) (Reply, error) {
		running <- struct{}{}
		<-release
		return Reply{42}, nil
	})
	conn := e.bare()
	io.WriteString(conn, `{"MagicNumber":3927900,"CodecType":"application/gob"}`)
	type header struct {
		ServiceMethod string
		Seq           uint64
		Error         string
	}
	enc, dec := gob.NewEncoder(conn), gob.NewDecoder(conn)
	call := func(seq uint64, method string, args Args) {
		if err := errors.Join(enc.Encode(header{ServiceMethod: method, Seq: seq}), enc.Encode(args)); err != nil {
			t.Fatal(err)
		}
	}
	answer := func() (h header, r Reply) {
		var body any = &r
		if err := dec.Decode(&h); err != nil {
			t.Fatal(err)
		}
		if h.Error != "" {
			body = &struct{}{}
		}
		if err := dec.Decode(body); err != nil {
			t.Fatal(err)
		}
		return h, r
	}
	for i, seq := range []uint64{0, 0, math.MaxUint64, 5, 5} {
		call(seq, "Arith.Add", Args{i, 1})
		if h, r := answer(); h.Seq != seq || r.C != i+1 || h.Error != "" {
			t.Fatalf("call %d: %+v, %+v", seq, h, r)
		}
	}
	call(6, "Test.Wait", Args{})
	<-running
	call(6, "Arith.Add", Args{1, 1})
	if h, _ := answer(); h.Seq != 6 || h.Error == "" {
		t.Fatalf("a second live call with seq 6: %+v", h)
	}
	close(release)
	if h, r := answer(); h.Seq != 6 || r.C != 42 {
		t.Fatalf("the first call with seq 6: %+v, %+v", h, r)
	}
}

// C19: a reply that nobody waits for goes nowhere.
func TestC19_RepliesNobodyWaitsFor(t *testing.T) {
	client, p := handServer(t, nil)
	var first, second Reply
	a := client.Go("T.A", Args{}, &first, nil)
	f := p.next()
	p.send(
		handFrame{kind: codec.Reply, seq: 4711, body: `{"C":666}`},
		handFrame{kind: codec.Reply, seq: 0, code: 13, text: "made up"},
		handFrame{kind: codec.Reply, seq: f.seq, body: `{"C":1}`},
		handFrame{kind: codec.Reply, seq: f.seq, body: `{"C":666}`},
	)
	if <-a.Done; a.Error != nil || first.C != 1 {
		t.Fatalf("first call: %d, %v", first.C, a.Error)
	}
	b := client.Go("T.B", Args{}, &second, nil)
	g := p.next()
	p.send(
		handFrame{kind: codec.Reply, seq: f.seq, body: `{"C":666}`},
		handFrame{kind: codec.Kind(200), seq: g.seq},
		handFrame{kind: codec.Data, seq: g.seq, body: `{"C":666}`},
		handFrame{kind: codec.Reply, seq: g.seq, body: `{"C":2}`},
	)
	if <-b.Done; b.Error != nil || second.C != 2 || first.C != 1 {
		t.Fatalf("second call: %d, %v; first reply is %d", second.C, b.Error, first.C)
	}
}

// A reply that comes when the caller has gone is dropped, once, and its slot
// is free again.
func TestC19_LateReply(t *testing.T) {
	client, p := handServer(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var reply Reply
	failed := make(chan error, 1)
	go func() { failed <- client.Call(ctx, "T.A", Args{}, &reply) }()
	f := p.next()
	cancel()
	wantError(t, <-failed, CodeCanceled, OnLink, RanMaybe)
	if c := p.next(); c.kind != codec.Cancel || c.seq != f.seq {
		t.Fatalf("the server is told %+v", c)
	}
	p.send(handFrame{kind: codec.Reply, seq: f.seq, body: `{"C":666}`})
	eventually(t, "slot free", func() bool {
		return client.inFlight.Len() == 0
	})
	if reply.C != 0 {
		t.Errorf("the reply was written after Call had returned: %d", reply.C)
	}
}

// C28: deadlines at the ends of what can be said.
func TestC28_Deadlines(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		left := make(chan time.Duration, 1)
		RegisterFunc(e.Server, "Test.Left", func(ctx context.Context, _ Args) (Reply, error) {
			deadline, ok := ctx.Deadline()
			if !ok {
				left <- 0
				return Reply{}, nil
			}
			left <- time.Until(deadline)
			return Reply{}, nil
		})
		client := e.dial(nil)
		for _, past := range []time.Time{{}, time.Unix(0, 0), time.Now().Add(-time.Nanosecond), time.Now().Add(math.MinInt64)} {
			ctx, cancel := context.WithDeadline(context.Background(), past)
			wantError(t, client.Call(ctx, "Test.Left", Args{}, nil), CodeDeadlineExceeded, InClient, RanNever)
			cancel()
		}
		for _, far := range []time.Duration{time.Hour, 290 * 365 * 24 * time.Hour, math.MaxInt64} {
			ctx, cancel := context.WithTimeout(context.Background(), far)
			if err := client.Call(ctx, "Test.Left", Args{}, nil); err != nil {
				t.Errorf("deadline in %v: %v", far, err)
			}
			slack := time.Minute
			if far == math.MaxInt64 {
				slack += monotime.Now() // which began at 0, and goes no further
			}
			if got := <-left; got > far || got < far-slack {
				t.Errorf("deadline in %v: the method has %v", far, got)
			}
			cancel()
		}
		if err := client.Call(context.Background(), "Test.Left", Args{}, nil); err != nil || <-left != 0 {
			t.Errorf("no deadline: %v", err)
		}
	})
}

// C28, on the wire: what no client of ours would say.
func TestC28_DeadlinesByHand(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	p := e.byHand()
	for _, timeout := range []uint64{1 << 63, math.MaxUint64, math.MaxInt64} {
		f := handAdd(1, 1, 1)
		f.timeout = timeout
		p.send(f)
		if f := p.next(); f.sum(t) != 2 {
			t.Errorf("timeout %d: %+v", timeout, f)
		}
	}
	f := handBlock(2)
	f.timeout = 1
	p.send(f)
	if f := p.next(); f.seq != 2 || Code(f.code) != CodeDeadlineExceeded {
		t.Errorf("timeout of a nanosecond: %+v", f)
	}
}

// C28: a negative time on the JSON wire is no more than no time, and doesn't
// undo the server's own limit.
func TestC28_NegativeTimeoutByHand(t *testing.T) {
	e := newEnv(t, "tcp", codec.JsonType)
	e.HandleTimeout = 50 * time.Millisecond
	ended := make(chan struct{})
	RegisterFunc(e.Server, "Test.Wait", func(ctx context.Context, _ Args) (Reply, error) {
		defer close(ended)
		<-ctx.Done()
		return Reply{}, ctx.Err()
	})
	conn := e.bare()
	p := &handPeer{t: t, conn: conn}
	p.say(map[string]any{"MagicNumber": MagicNumber, "CodecType": codec.JsonType, "Version": 1, "Ack": true, "Extended": true})
	p.say(map[string]any{"ServiceMethod": "Test.Wait", "Seq": 1, "Timeout": -5})
	p.say(Args{})
	select {
	case <-ended:
	case <-time.After(10 * time.Second): // instead of hanging
		t.Error("the method's context never ended")
		conn.(*net.TCPConn).SetLinger(0)
	}
}

// Requests that arrive together are queued together. Whatever else arrives with
// them must find them in the queue, and must not leave them out of it: a call
// that nothing but a cancel, a ping or a refusal follows is not to wait for
// the next one.
func TestTogether_CallsAndOthers(t *testing.T) {
	cancel, ping, goaway := handFrame{kind: codec.Cancel, seq: 1}, handFrame{kind: codec.Ping}, handFrame{kind: codec.Goaway}
	var refused []handFrame // as many as are in flight, and one more
	for seq := range uint64(9) {
		refused = append(refused, handBlock(100+seq))
	}
	tests := map[string]struct {
		frames []handFrame
		want   map[uint64]Code // by seq
	}{
		"call, cancel":           {[]handFrame{handBlock(1), cancel}, map[uint64]Code{1: CodeCanceled}},
		"calls, cancel":          {[]handFrame{handAdd(2, 1, 1), handBlock(1), handAdd(3, 1, 1), cancel}, map[uint64]Code{1: CodeCanceled, 2: CodeOK, 3: CodeOK}},
		"call, ping":             {[]handFrame{handAdd(1, 1, 1), ping}, map[uint64]Code{1: CodeOK}},
		"call, unknown kind":     {[]handFrame{handAdd(1, 1, 1), {kind: 99}}, map[uint64]Code{1: CodeOK}},
		"call, goaway":           {[]handFrame{handAdd(1, 1, 1), goaway}, map[uint64]Code{1: CodeOK}},
		"call, goaway, call":     {[]handFrame{handAdd(1, 1, 1), handBlock(4), goaway, handAdd(2, 1, 1), {kind: codec.Cancel, seq: 4}}, map[uint64]Code{1: CodeOK, 2: CodeUnavailable, 4: CodeCanceled}},
		"calls, one too many":    {refused, map[uint64]Code{108: CodeResourceExhausted}},
		"call, the same again":   {[]handFrame{handBlock(1), handBlock(1), cancel}, map[uint64]Code{1: CodeCanceled}},
		"call, unknown method":   {[]handFrame{handAdd(1, 1, 1), {kind: codec.Call, seq: 2, method: "A.B"}}, map[uint64]Code{1: CodeOK, 2: CodeNotFound}},
		"call, wrong arguments":  {[]handFrame{handAdd(1, 1, 1), {kind: codec.Call, seq: 2, method: "Arith.Add", body: "7"}}, map[uint64]Code{1: CodeOK, 2: CodeInvalidArgument}},
		"call, cancel of others": {[]handFrame{handAdd(2, 1, 1), cancel}, map[uint64]Code{2: CodeOK}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, "tcp", framedJSON)
			e.MaxInFlight = 8
			p := e.byHand(allKinds...)
			p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			p.send(test.frames...)
			for len(test.want) > 0 {
				f := p.next()
				code, ok := test.want[f.seq]
				switch {
				case f.kind != codec.Reply:
				case ok && Code(f.code) == code:
					delete(test.want, f.seq)
				case Code(f.code) == CodeInvalidArgument && name == "call, the same again":
				default:
					t.Fatalf("%+v, want %v", f, code)
				}
			}
			if name == "calls, one too many" { // the others run
				for seq := range uint64(8) {
					p.send(handFrame{kind: codec.Cancel, seq: 100 + seq})
					if f := p.next(); f.seq != 100+seq || Code(f.code) != CodeCanceled {
						t.Fatalf("%+v", f)
					}
				}
			}
		})
	}
}
