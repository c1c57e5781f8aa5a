package geerpc

import (
	"testing"

	"geerpc/codec"
)

// PROTOCOL: "A reply is an error if flag 4 is set."
func TestZZ3Flag4(t *testing.T) {
	c, p := handServer(t, &Option{CodecType: framedJSON})
	go func() {
		p.next()
		p.conn.Write([]byte{0, 0, 0, 7, 1, 4, 1, 0, 2, 1, 0})
	}()
	t.Log("flag 4, code 0, no text:", c.Call(t.Context(), "A.B", 1, nil))
	_ = codec.GobType
}
