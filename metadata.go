package geerpc

import (
	"context"
	"maps"
	"sync/atomic"
	"unicode/utf8"
)

// Limits on the metadata of one message.
const (
	MaxMetadataPairs = 64
	MaxMetadataBytes = 16 << 10 // keys and values together
)

// Metadata is what travels beside the body of a call or a reply: a trace, a
// tenant, a token. A key consists of letters, digits and "-_."; a value is
// UTF-8 without control characters. Neither goes over connections to peers of
// GeeRPC's original version, nor through codecs that only know plain headers.
type Metadata map[string]string

type (
	callMetadataKey  struct{}
	replyMetadataKey struct{}
)

// WithMetadata returns a context whose calls carry md, in addition to what ctx
// carries already. md is copied.
func WithMetadata(ctx context.Context, md Metadata) context.Context {
	merged := maps.Clone(callMetadata(ctx))
	if merged == nil {
		merged = make(Metadata, len(md))
	}
	maps.Copy(merged, md)
	return context.WithValue(ctx, callMetadataKey{}, merged)
}

func callMetadata(ctx context.Context) Metadata {
	md, _ := ctx.Value(callMetadataKey{}).(Metadata)
	return md
}

// WithReplyMetadata returns a context whose calls put the metadata of their
// reply into md, which must not be nil. What is there is kept. It is for one
// call at a time; md may be read when the call has returned.
func WithReplyMetadata(ctx context.Context, md Metadata) context.Context {
	return context.WithValue(ctx, replyMetadataKey{}, md)
}

// ReplyMetadataTarget returns what WithReplyMetadata was given for ctx, nil if
// nothing. An Interceptor that makes several calls at once in place of one
// needs it: each must have metadata of its own, of which the caller is to get
// one.
func ReplyMetadataTarget(ctx context.Context) Metadata {
	md, _ := ctx.Value(replyMetadataKey{}).(Metadata)
	return md
}

// putReplyMetadata puts the metadata of a reply where its caller wants it.
func putReplyMetadata(ctx context.Context, md Metadata) {
	if into := ReplyMetadataTarget(ctx); into != nil {
		maps.Copy(into, md)
	}
}

// MetadataFrom returns the metadata that came with the call which a method is
// handling. It is nil if there is none, and must not be changed. It does not
// travel on by itself when the method makes calls.
func MetadataFrom(ctx context.Context) Metadata {
	if c := callFrom(ctx); c != nil {
		return c.metadata
	}
	return nil
}

// SetReplyMetadata adds a pair to the metadata of the reply to the call which a
// method is handling. It fails if the pair is not valid, if there are too
// many, and if ctx is not a method's. It is safe for concurrent use.
func SetReplyMetadata(ctx context.Context, key, value string) error {
	c := callFrom(ctx)
	if c == nil {
		return Errorf(CodeInvalidArgument, "rpc server: reply metadata %q: not the context of a method", key)
	}
	return c.reply.set(key, value)
}

// metadataBox is metadata being put together.
type metadataBox struct{ md atomic.Pointer[Metadata] }

func (b *metadataBox) set(key, value string) error {
	for {
		before := b.md.Load()
		md := make(Metadata, 1)
		if before != nil {
			md = maps.Clone(*before)
		}
		md[key] = value
		if err := md.validate(); err != nil {
			return err
		}
		if b.md.CompareAndSwap(before, &md) {
			return nil
		}
	}
}

func (b *metadataBox) get() Metadata {
	if md := b.md.Load(); md != nil {
		return *md
	}
	return nil
}

// validate checks md against the limits, on the way out and on the way in.
func (md Metadata) validate() error {
	if len(md) > MaxMetadataPairs {
		return Errorf(CodeInvalidArgument, "rpc: metadata of %d pairs, allowed are %d", len(md), MaxMetadataPairs)
	}
	size := 0
	for k, v := range md {
		size += len(k) + len(v)
		if !validKey(k) {
			return Errorf(CodeInvalidArgument, "rpc: metadata key %.64q: letters, digits and -_. only", k)
		}
		if !validValue(v) {
			return Errorf(CodeInvalidArgument, "rpc: metadata value of %s: UTF-8 without control characters only", k)
		}
	}
	if size > MaxMetadataBytes {
		return Errorf(CodeInvalidArgument, "rpc: metadata of %d bytes, allowed are %d", size, MaxMetadataBytes)
	}
	return nil
}

func validKey(k string) bool {
	for _, c := range []byte(k) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return k != ""
}

func validValue(v string) bool {
	for _, r := range v {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	return utf8.ValidString(v)
}
