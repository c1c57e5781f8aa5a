package replycopy

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"sync"
	"testing"
	"time"
)

// Reply is a part of replies.
type Reply struct{ C int }

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
	mu    sync.Mutex //lint:ignore U1000 it is there to be seen
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
		c := Of(got)
		if !reflect.DeepEqual(c.Target(), got) && message == "{}" {
			c.Target().(*Wide).Hidden.cache = got.Hidden.cache // the one thing that is not copied
			if !reflect.DeepEqual(c.Target(), got) {
				t.Errorf("the copy is %+v", c.Target())
			}
		}
		c = Of(got)
		if err := json.Unmarshal([]byte(message), c.Target()); err != nil {
			t.Fatal(err)
		}
		if before, _ := preset(); !reflect.DeepEqual(got, before) {
			t.Errorf("%s: the reply was touched while it was decoded: %+v", message, got)
		}
		c.Merge()
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
			c := Of(p.reply)
			if again := json.Unmarshal([]byte(message), c.Target()); (again == nil) != (err == nil) {
				t.Errorf("%s into a %T: %v, in place %v", message, p.reply, again, err)
			}
			c.Merge()
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
	c := Of(first)
	n := 0
	for w := c.Target().(*Wide); w != nil; w = w.Link {
		n++
	}
	if n > maxDepth {
		t.Errorf("%d are copied", n)
	}
	c.Merge()
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
		c := Of(got)
		json.Unmarshal(message, c.Target())
		c.Merge()
		var a, b bytes.Buffer
		want.Link, got.Link, want.Same, got.Same = nil, nil, nil, nil // which lead to themselves
		json.NewEncoder(&a).Encode(want)
		json.NewEncoder(&b).Encode(got)
		if a.String() != b.String() {
			t.Errorf("%s: %s, want %s", message, &b, &a)
		}
	})
}

// A lockedReply is a reply with a lock of its caller's.
type lockedReply struct {
	mu    sync.Mutex
	Value int
}

// A reply that is merged leaves what is not exported alone, if decoding has not
// changed it: here a mutex for which somebody has begun to wait meanwhile.
func TestC155_MutexInTheReply(t *testing.T) {
	var reply lockedReply
	reply.mu.Lock()
	c := Of(&reply)
	got := make(chan int, 1)
	go func() { // waits until the reply is there
		reply.mu.Lock()
		defer reply.mu.Unlock()
		got <- reply.Value
	}()
	time.Sleep(10 * time.Millisecond) // it waits by then, most likely
	c.Target().(*lockedReply).Value = 7
	c.Merge()
	reply.mu.Unlock()
	select {
	case v := <-got:
		if v != 7 {
			t.Errorf("the value is %d", v)
		}
	case <-time.After(10 * time.Second): // instead of hanging: a mutex stops a bubble's time
		t.Error("the mutex has forgotten who waits for it")
	}
}

// A hiddenReply decodes itself.
type hiddenReply struct {
	n     int
	Value int
}

// What decoding has changed of what is not exported is merged.
func TestC155_HiddenFieldsThatWereDecoded(t *testing.T) {
	reply := hiddenReply{n: 1, Value: 2}
	c := Of(&reply)
	*c.Target().(*hiddenReply) = hiddenReply{n: 3, Value: 4}
	c.Merge()
	if want := (hiddenReply{n: 3, Value: 4}); reply != want {
		t.Errorf("%+v, want %+v", reply, want)
	}
}
