package geerpc

import (
	"net"
	"testing"

	"geerpc/codec"
)

// Any number of calls may be in flight, to a server that sets no limit, and all
// of them be cancelled while it reads slowly: that is nobody's fault. A peer that
// is owed too many refusals, and reads none, is given up all the same.
func TestD140_ControlsToASlowPeer(t *testing.T) {
	for kind, want := range map[codec.Kind]error{codec.Cancel: nil, codec.Reply: errOwing} {
		near, far := net.Pipe()
		l := newLink(far, limits{flush: -1, report: new(Server).report})
		newCodec, err := codec.Lookup(framedJSON)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.open(newCodec); err != nil {
			t.Fatal(err)
		}
		l.out.Begin(t.Context()) // nothing leaves
		for seq := range uint64(2 * maxControls) {
			l.post(control{kind: kind, seq: seq, err: errReplyExit})
		}
		if cause := l.cause(); cause != want {
			t.Errorf("%v: the link's cause is %v, want %v", kind, cause, want)
		}
		l.out.End()
		near.Close()
		l.fail(net.ErrClosed)
		l.close()
	}
}
