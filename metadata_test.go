package geerpc

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"geerpc/codec"
)

// echoMetadata registers Test.Echo, which sends back the metadata of its call.
func echoMetadata(e *env) {
	RegisterFunc(e.Server, "Test.Echo", func(ctx context.Context, _ Args) (Reply, error) {
		md := MetadataFrom(ctx)
		for k, v := range md {
			if err := SetReplyMetadata(ctx, k, v); err != nil {
				return Reply{}, err
			}
		}
		return Reply{len(md)}, nil
	})
}

// Metadata goes both ways on every codec that can carry it, success or not.
func TestMetadata_BothWays(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		echoMetadata(e)
		RegisterFunc(e.Server, "Test.Fail", func(ctx context.Context, _ Args) (Reply, error) {
			SetReplyMetadata(ctx, "why", "because")
			return Reply{}, Errorf(CodeAborted, "no")
		})
		client := e.dial(nil)
		sent := Metadata{"trace-id": "00-abc", "Tenant": "süd 🙂", "a.b_c": "", "html": "<&>\""}
		ctx := WithMetadata(context.Background(), sent)
		sent["late"] = "not copied" // WithMetadata copies
		delete(sent, "late")
		for range 3 {
			got := Metadata{"kept": "yes"}
			var reply Reply
			if err := client.Call(WithReplyMetadata(ctx, got), "Test.Echo", Args{}, &reply); err != nil || reply.C != len(sent) {
				t.Fatalf("%d pairs, %v", reply.C, err)
			}
			want := maps.Clone(sent)
			want["kept"] = "yes"
			if !maps.Equal(got, want) {
				t.Errorf("reply metadata is %q, want %q", got, want)
			}
		}
		got := Metadata{}
		if err := client.Call(WithReplyMetadata(ctx, got), "Test.Fail", Args{}, nil); err == nil || got["why"] != "because" {
			t.Errorf("of an error: %q, %v", got, err)
		}
		got = Metadata{}
		var reply Reply
		if err := client.Call(WithReplyMetadata(context.Background(), got), "Test.Echo", Args{}, &reply); err != nil || reply.C != 0 || len(got) != 0 {
			t.Errorf("metadata of an earlier call: %d, %q, %v", reply.C, got, err)
		}
	})
}

// Pairs that are set at once are all sent.
func TestMetadata_SetAtOnce(t *testing.T) {
	for range 100 {
		c := new(callContext)
		var all sync.WaitGroup
		start := make(chan bool)
		for i := range MaxMetadataPairs {
			all.Go(func() {
				<-start
				if err := SetReplyMetadata(c, fmt.Sprint("key", i), "value"); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		all.Wait()
		if md := c.replyMetadata(); len(md) != MaxMetadataPairs {
			t.Fatalf("%d pairs of %d", len(md), MaxMetadataPairs)
		}
	}
}

// Contexts add up, and a context that is nobody's is told so.
func TestMetadata_Contexts(t *testing.T) {
	base := WithMetadata(context.Background(), Metadata{"a": "1", "b": "1"})
	more := WithMetadata(base, Metadata{"b": "2", "c": "2"})
	if got, want := callMetadata(more), (Metadata{"a": "1", "b": "2", "c": "2"}); !maps.Equal(got, want) {
		t.Errorf("merged: %q, want %q", got, want)
	}
	if got, want := callMetadata(base), (Metadata{"a": "1", "b": "1"}); !maps.Equal(got, want) {
		t.Errorf("the outer context has changed: %q, want %q", got, want)
	}
	if md := MetadataFrom(more); md != nil {
		t.Errorf("MetadataFrom a caller's context is %q", md)
	}
	wantError(t, SetReplyMetadata(more, "a", "b"), CodeInvalidArgument, InMethod, RanYes)
	if md := ReplyMetadataTarget(more); md != nil {
		t.Errorf("nobody asked for reply metadata: %q", md)
	}
	wanted := Metadata{}
	ReplyMetadataTarget(WithMetadata(WithReplyMetadata(base, wanted), nil))["a"] = "1"
	if wanted["a"] != "1" {
		t.Error("ReplyMetadataTarget is not what WithReplyMetadata was given")
	}
	if _, ok := PeerFrom(more); ok {
		t.Error("PeerFrom a caller's context")
	}
}

// badMetadata is metadata that must not pass, by name.
func badMetadata() map[string]Metadata {
	many := Metadata{}
	for i := range MaxMetadataPairs + 1 {
		many[fmt.Sprint(i)] = ""
	}
	return map[string]Metadata{
		"too many": many, "too large": {"k": strings.Repeat("v", MaxMetadataBytes)},
		"CR LF in a value": {"k": "v\r\nSet-Cookie: x"}, "NUL": {"k": "\x00"}, "DEL": {"k": "\x7f"}, "bad UTF-8": {"k": "\xff"},
		"empty key": {"": "v"}, "blank in a key": {"a b": "v"}, "LF in a key": {"a\nb": "v"}, "colon in a key": {"a:b": "v"}, "umlaut in a key": {"ä": "v"},
	}
}

// E54, our own client: metadata that won't do fails its call before anything
// is sent; metadata at the limits passes.
func TestE54_MetadataLimits(t *testing.T) {
	for _, c := range codecs {
		t.Run(string(c), func(t *testing.T) {
			e := newEnv(t, "tcp", c)
			echoMetadata(e)
			set := make(chan Metadata, 1)
			RegisterFunc(e.Server, "Test.Set", func(ctx context.Context, _ Args) (_ Reply, err error) {
				for k, v := range <-set {
					if err = SetReplyMetadata(ctx, k, v); err != nil {
						break
					}
				}
				return Reply{}, err
			})
			client := e.dial(nil)
			bad := badMetadata()
			bad["10 MiB"] = Metadata{"k": strings.Repeat("v", 10<<20)}
			for _, md := range bad {
				err := client.Call(WithMetadata(context.Background(), md), "Test.Echo", Args{}, nil)
				wantError(t, err, CodeInvalidArgument, InClient, RanNever)
				set <- md
				wantError(t, client.Call(context.Background(), "Test.Set", Args{}, nil), CodeInvalidArgument, InMethod, RanYes)
			}
			most := Metadata{"large": strings.Repeat("v", MaxMetadataBytes-5-(MaxMetadataPairs-1)*4)}
			for i := range MaxMetadataPairs - 1 {
				most[fmt.Sprintf("k%03d", i)] = ""
			}
			got := Metadata{}
			ctx := WithReplyMetadata(WithMetadata(context.Background(), most), got)
			if err := client.Call(ctx, "Test.Echo", Args{}, nil); err != nil || !maps.Equal(got, most) {
				t.Errorf("at the limit: %d pairs back, %v", len(got), err)
			}
		})
	}
}

// pairs returns md as it stands in a frame.
func (md Metadata) pairs() (p [][2]string) {
	for k, v := range md {
		p = append(p, [2]string{k, v})
	}
	return p
}

// E54, a client written by hand: nobody in the server sees metadata that won't
// do, an interceptor of unknown methods included.
func TestE54_MetadataByHand(t *testing.T) {
	e := newEnv(t, "tcp", framedJSON)
	seen := make(chan Metadata, 1)
	e.Interceptors = []Interceptor{intercept(func(ctx context.Context, next CallFunc, m string, args, reply any) error {
		if md := MetadataFrom(ctx); len(md) > 0 {
			seen <- md
		}
		return next(ctx, m, args, reply)
	})}
	p := e.byHand(allKinds...)
	for name, md := range badMetadata() {
		for _, method := range []string{"Arith.Add", "Arith.Nope", "none"} {
			p.send(handFrame{kind: codec.Call, seq: 1, method: method, metadata: md.pairs(), body: "{}"})
			f := p.next()
			if f.code != uint8(CodeInvalidArgument) && f.code != uint8(CodeNotFound) || f.ran != uint8(RanNever) {
				t.Errorf("%s, %s: %+v", name, method, f)
			}
			select {
			case md := <-seen:
				t.Errorf("%s, %s: the interceptor sees %.100q", name, method, md)
			default:
			}
		}
	}
	million := handFrame{kind: codec.Call, seq: 2, method: "Arith.Add", metadata: make([][2]string, 1<<19), body: "{}"}
	p.send(million)
	p.awaitEnd() // such a frame can't be ours
	p = e.byHand(allKinds...)
	large := handFrame{kind: codec.Call, seq: 3, method: "Arith.Add", metadata: [][2]string{{"k", strings.Repeat("v", 10<<20)}}, body: "{}"}
	p.conn.Write(large.bytes()) // fails if the server hangs up before all of it is sent
	p.awaitEnd()
	if err := e.dial(nil).Call(t.Context(), "Arith.Add", Args{1, 2}, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A server written by hand can't make our client hand out metadata that won't
// do.
func TestE54_ReplyMetadataByHand(t *testing.T) {
	client, p := handServer(t, nil)
	for name, md := range badMetadata() {
		got := Metadata{}
		done := make(chan error, 1)
		go func() {
			done <- client.Call(WithReplyMetadata(context.Background(), got), "T.M", Args{}, new(Reply))
		}()
		f := p.next()
		p.send(handFrame{kind: codec.Reply, seq: f.seq, metadata: md.pairs(), body: `{"C":1}`})
		wantError(t, <-done, CodeInternal, InClient, RanYes)
		if len(got) != 0 {
			t.Errorf("%s: the caller gets %.100q", name, got)
		}
	}
}

// Metadata does not go where the layout has no room for it; the call does.
func TestMetadata_PlainPeer(t *testing.T) {
	e := newEnv(t, "tcp", codec.GobType)
	echoMetadata(e)
	client := e.dial(&Option{Legacy: true})
	got := Metadata{}
	ctx := WithReplyMetadata(WithMetadata(context.Background(), Metadata{"k": "v"}), got)
	var reply Reply
	if err := client.Call(ctx, "Test.Echo", Args{}, &reply); err != nil || reply.C != 0 || len(got) != 0 {
		t.Errorf("%d pairs there, %d back, %v", reply.C, len(got), err)
	}
}

func TestReplyMetadata_NilMap(t *testing.T) {
	e := newEnv(t, "pipe", codec.GobType)
	RegisterFunc(e.Server, "Test.Meta", func(ctx context.Context, _ Args) (Reply, error) {
		return Reply{}, SetReplyMetadata(ctx, "a", "b")
	})
	if err := e.dial(nil).Call(WithReplyMetadata(t.Context(), nil), "Test.Meta", Args{}, nil); err != nil {
		t.Error(err)
	}
}
