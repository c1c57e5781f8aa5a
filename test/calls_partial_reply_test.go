package test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"reflect"
	"testing"

	"geerpc"
	"geerpc/codec"
)

// A wholeJSON codec is a codec of the user's own: a line of JSON for the header
// and one for the body, of which it may wait for the second.
type wholeJSON struct {
	io.Closer
	in  *json.Decoder
	out *json.Encoder
	buf bytes.Buffer
	w   io.Writer
}

const wholeJSONType codec.Type = "test/whole-json"

func init() {
	codec.Register(wholeJSONType, func(rwc io.ReadWriteCloser) codec.Codec {
		c := &wholeJSON{Closer: rwc, in: json.NewDecoder(rwc), w: rwc}
		c.out = json.NewEncoder(&c.buf)
		return c
	})
}

func (c *wholeJSON) ReadHeader(h *codec.Header) error { return c.in.Decode(h) }

func (c *wholeJSON) ReadBody(body any) error {
	if body == nil {
		body = new(any)
	}
	return c.in.Decode(body)
}

func (c *wholeJSON) Write(h *codec.Header, body any) error {
	c.buf.Reset()
	if err := c.out.Encode(h); err != nil {
		return err
	}
	if err := c.out.Encode(body); err != nil {
		return err
	}
	_, err := c.w.Write(c.buf.Bytes())
	return err
}

// Partial is what a server sends of a Preset.
type (
	Partial struct{ Map map[string]int }
	Preset  struct {
		Limit int
		Map   map[string]int
		Link  *Reply
	}
)

// TestC109_OwnCodec: what stands in a reply and is not sent remains, whichever
// codec decodes it, and errors leave all of it alone.
func TestC109_OwnCodec(t *testing.T) {
	for _, transport := range transports {
		for _, c := range []codec.Type{codec.GobType, codec.JsonType, framedJSON, wholeType, wholeJSONType} {
			t.Run(transport+"/"+string(c), func(t *testing.T) {
				e := newEnv(t, transport, c)
				geerpc.RegisterFunc(e.Server, "Test.Partial", func(_ context.Context, n int) (Partial, error) {
					if n == 0 {
						return Partial{}, geerpc.Errorf(geerpc.CodeNotFound, "no")
					}
					return Partial{map[string]int{"new": n}}, nil
				})
				client, link, entries := e.dial(nil), &Reply{5}, map[string]int{"old": 1}
				reply := Preset{Limit: 3, Map: entries, Link: link}
				for n := range 3 {
					err := client.Call(context.Background(), "Test.Partial", n, &reply)
					if (err == nil) != (n > 0) {
						t.Error(err)
					}
					want := map[string]int{"old": 1}
					if n > 0 {
						want["new"] = n
					}
					if reply.Limit != 3 || reply.Link != link || link.C != 5 || !reflect.DeepEqual(entries, want) || !reflect.DeepEqual(reply.Map, want) {
						t.Errorf("%d: %+v, the map %v, the link %v", n, reply, entries, *link)
					}
				}
				call := <-client.Go("Test.Partial", 7, &reply, nil).Done
				if call.Error != nil || reply.Limit != 3 || entries["new"] != 7 {
					t.Errorf("Go: %+v, %v", reply, call.Error)
				}
			})
		}
	}
}
