package geerpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/big"
	"reflect"
	"sync"
	"testing"
	"time"

	"geerpc/codec"
)

// Wide is a reply with a field of each kind.
type Wide struct {
	N, M   int
	S      string
	Bytes  []byte
	List   []Reply
	Links  []*Reply
	Array  [2]*Reply
	Map    map[string]int
	Deep   map[string]*Reply
	Link   *Wide
	Same   *Wide
	Any    any
	Time   time.Time
	Big    *big.Int
	Hidden guarded
}

// guarded has fields that no decoder sees.
type guarded struct {
	C     int
	mu    sync.Mutex
	cache map[string]int
}

// preset returns a reply with something everywhere. into is what its Any points
// to.
func preset() (w *Wide, into *Reply) {
	into = &Reply{1}
	w = &Wide{N: 1, M: 2, S: "old", Bytes: make([]byte, 3, 8), List: make([]Reply, 2, 4), Links: []*Reply{{1}, {2}},
		Array: [2]*Reply{{1}}, Map: map[string]int{"old": 1, "both": 1}, Deep: map[string]*Reply{"old": {1}}, Any: into,
		Time: time.Unix(1, 0).UTC(), Hidden: guarded{C: 1, cache: map[string]int{"old": 1}}}
	w.Link = &Wide{S: "linked", Link: w}
	w.Same = w.Link
	return w, into
}

// messages are bodies of which each sets some fields of a Wide.
var messages = []string{
	`{}`, `{"N":7}`, `{"S":""}`, `{"Bytes":"AQI="}`, `{"Bytes":"AQIDBAUGBwgJCgsM"}`, `{"Bytes":null}`, `{"List":[{"C":5}]}`,
	`{"List":[{"C":5},{},{"C":7},{},{"C":9}]}`, `{"List":[]}`, `{"List":null}`, `{"Links":[{"C":5},null,{"C":7}]}`,
	`{"Array":[{"C":5},{"C":6}]}`, `{"Array":[null]}`, `{"Map":{"new":2,"both":3}}`, `{"Map":null}`, `{"Map":{}}`,
	`{"Deep":{"old":{"C":5},"new":null}}`, `{"Link":{"N":5}}`, `{"Link":{"Link":{"M":5}}}`, `{"Link":null}`,
	`{"Link":{"N":5},"Same":{"N":6,"M":7}}`, `{"Any":{"C":5}}`, `{"Any":null}`, `{"Time":"2026-01-02T03:04:05Z"}`,
	`{"Big":123456789012345678901234567890}`, `{"Hidden":{"C":5}}`, `{"Hidden":{}}`,
	`{"N":1,"Link":{"Map":{"a":1},"Link":{"Map":{"new":9},"List":[{},{"C":3}]}}}`,
}

// TestC109_AsIfInPlace: decoding into a copy of a reply and merging it comes to
// the same as decoding into the reply, also for whoever holds a part of it.
func TestC109_AsIfInPlace(t *testing.T) {
	for _, message := range messages {
		want, wantInto := preset()
		if err := json.Unmarshal([]byte(message), want); err != nil {
			t.Fatal(err)
		}
		got, gotInto := preset()
		link, same, first, entries := got.Link, got.Same, got.Links[0], got.Map
		c := copyReply(got)
		if !reflect.DeepEqual(c.target(), got) && message == "{}" {
			c.target().(*Wide).Hidden.cache = got.Hidden.cache // the one thing that is not copied
			if !reflect.DeepEqual(c.target(), got) {
				t.Errorf("the copy is %+v", c.target())
			}
		}
		c = copyReply(got)
		if err := json.Unmarshal([]byte(message), c.target()); err != nil {
			t.Fatal(err)
		}
		if before, _ := preset(); !reflect.DeepEqual(got, before) {
			t.Errorf("%s: the reply was touched while it was decoded: %+v", message, got)
		}
		c.merge()
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotInto, wantInto) {
			t.Errorf("%s: %+v, %+v, want %+v, %+v", message, got, gotInto, want, wantInto)
		}
		if got.Link != nil && got.Link != link || got.Same != same || got.Links[0] != first {
			t.Errorf("%s: a pointer is not what it was", message)
		}
		if got.Map != nil && !reflect.DeepEqual(got.Map, entries) {
			t.Errorf("%s: the map is another one", message)
		}
	}
}

// TestC109_TopLevel does the same with replies of other kinds.
func TestC109_TopLevel(t *testing.T) {
	type pair struct{ reply, same any } // two of the same
	number := func(n int) *int { return &n }
	cases := map[string][]pair{
		`7`:                      {{number(3), number(3)}, {&[]any{3}[0], &[]any{3}[0]}, {big.NewInt(3), big.NewInt(3)}},
		`{"a":1}`:                {{&map[string]int{"b": 2}, &map[string]int{"b": 2}}, {new(map[string]int), new(map[string]int)}, {new(any), new(any)}},
		`null`:                   {{&map[string]int{"b": 2}, &map[string]int{"b": 2}}, {number(3), number(3)}},
		`[1,2,3]`:                {{&[]int{9}, &[]int{9}}, {&[2]int{}, &[2]int{}}, {&[]any{number(1), number(2)}, &[]any{number(1), number(2)}}},
		`"AQID"`:                 {{&[]byte{9, 9, 9, 9}, &[]byte{9, 9, 9, 9}}},
		`{"C":1}`:                {{&[]*Reply{{5}}[0], &[]*Reply{{5}}[0]}, {new(*Reply), new(*Reply)}, {new(Reply), new(Reply)}},
		`"2026-01-01T00:00:00Z"`: {{&time.Time{}, &time.Time{}}},
	}
	for message, pairs := range cases {
		for _, p := range pairs {
			err := json.Unmarshal([]byte(message), p.same)
			c := copyReply(p.reply)
			if again := json.Unmarshal([]byte(message), c.target()); (again == nil) != (err == nil) {
				t.Errorf("%s into a %T: %v, in place %v", message, p.reply, again, err)
			}
			c.merge()
			if !reflect.DeepEqual(p.reply, p.same) {
				t.Errorf("%s into a %T: %v, want %v", message, p.reply, reflect.ValueOf(p.reply).Elem(), reflect.ValueOf(p.same).Elem())
			}
		}
	}
}

// TestC109_DeepReply: a chain that is too deep to be copied is cut, and the
// stack stays small.
func TestC109_DeepReply(t *testing.T) {
	var first *Wide
	for range 100_000 {
		first = &Wide{Link: first}
	}
	c := copyReply(first)
	n := 0
	for w := c.target().(*Wide); w != nil; w = w.Link {
		n++
	}
	if n > maxCopyDepth {
		t.Errorf("%d are copied", n)
	}
	c.merge()
}

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
				RegisterFunc(e.Server, "Test.Partial", func(_ context.Context, n int) (Partial, error) {
					if n == 0 {
						return Partial{}, Errorf(CodeNotFound, "no")
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

// FuzzReplyCopy compares decoding into a copy with decoding in place.
func FuzzReplyCopy(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		want, _ := preset()
		if json.Unmarshal(message, want) != nil {
			return
		}
		got, _ := preset()
		c := copyReply(got)
		json.Unmarshal(message, c.target())
		c.merge()
		var a, b bytes.Buffer
		want.Link, got.Link, want.Same, got.Same = nil, nil, nil, nil // which lead to themselves
		json.NewEncoder(&a).Encode(want)
		json.NewEncoder(&b).Encode(got)
		if a.String() != b.String() {
			t.Errorf("%s: %s, want %s", message, &b, &a)
		}
	})
}
