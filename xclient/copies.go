package xclient

import (
	"context"
	"maps"
	"reflect"

	"geerpc"
)

// A target is where a caller wants the reply of a call that is made several
// times at once. Each of those decodes into a copy, of which the caller gets
// one.
type target struct {
	reply    reflect.Value   // a pointer; invalid if the caller wants no reply
	metadata geerpc.Metadata // nil if the caller wants none
}

// newTarget fails if reply is neither nil nor a pointer to something.
func newTarget(ctx context.Context, reply any) (target, error) {
	t := target{reply: reflect.ValueOf(reply), metadata: geerpc.ReplyMetadataTarget(ctx)}
	if reply != nil && (t.reply.Kind() != reflect.Pointer || t.reply.IsNil()) {
		return t, notSent(geerpc.CodeInvalidArgument, "rpc xclient: the reply is a %T, want a pointer to something", reply)
	}
	return t, nil
}

// A copied is one call's copy of a target.
type copied struct {
	ctx      context.Context // for the call
	reply    any             // for the call
	metadata geerpc.Metadata
}

func (t target) copy(ctx context.Context) copied {
	c := copied{ctx: ctx}
	if t.reply.IsValid() {
		c.reply = reflect.New(t.reply.Type().Elem()).Interface()
	}
	if t.metadata != nil {
		c.metadata = make(geerpc.Metadata)
		c.ctx = geerpc.WithReplyMetadata(ctx, c.metadata)
	}
	return c
}

// take gives the caller a copy whose call has ended well.
func (t target) take(c copied) {
	if t.reply.IsValid() {
		t.reply.Elem().Set(reflect.ValueOf(c.reply).Elem())
	}
	if t.metadata != nil {
		maps.Copy(t.metadata, c.metadata)
	}
}
