package codec_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"geerpc/codec"
)

// Values of types that gob defines on the way.
type (
	box   struct{ Any any }
	boxes struct {
		List []any
		Map  map[string]any
	}
	leaf  struct{ N int }
	leaf2 struct{ S []leaf3 }
	leaf3 struct{ T string }
	plain struct {
		Name string
		Leaf leaf
	}
)

func init() {
	for _, v := range []any{box{}, boxes{}, leaf{}, leaf2{}, []leaf{}, map[string]leaf{}} {
		gob.Register(v)
	}
}

// anyValues hold types that are new to the stream, in interfaces, at all
// depths, in an order that brings definitions into all sorts of places.
func anyValues() []any {
	return []any{
		box{box{box{leaf{1}}}},
		box{leaf{2}},
		boxes{List: []any{1, "two", nil, leaf{3}, []leaf{{4}}}, Map: map[string]any{"a": leaf2{[]leaf3{{"x"}}}}},
		box{boxes{List: []any{box{map[string]leaf{"k": {5}}}, box{leaf{6}}}}},
		boxes{Map: map[string]any{"b": box{leaf2{[]leaf3{{"y"}, {"z"}}}}}},
		box{map[string]leaf{"l": {7}}},
		box{},
		box{leaf2{}},
	}
}

// zero returns a pointer to a new value of the type of v.
func zero(v any) any { return reflect.New(reflect.TypeOf(v)).Interface() }

func checkBody(t *testing.T, got, want any) {
	t.Helper()
	if got := reflect.ValueOf(got).Elem().Interface(); !reflect.DeepEqual(got, want) {
		t.Errorf("body is %#v, want %#v", got, want)
	}
}

// TestInterfaces sends values in interfaces. A gob encoder defines their types
// in the middle of a value, which then takes several sections.
func TestInterfaces(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		conn := new(tape)
		c := l.open(conn)
		for _, v := range append(anyValues(), anyValues()...) {
			send(t, c, v)
			readHeader(t, c)
			got := zero(v)
			if err := c.ReadBody(got); err != nil {
				t.Fatalf("ReadBody of %#v: %v", v, err)
			}
			checkBody(t, got, v)
		}
	})
}

// A definition that can't be taken ends the stream: what follows it can't be told from
// the next message.
func TestGobDefinitionOutOfRange(t *testing.T) {
	type header struct {
		ServiceMethod string
		Seq           uint64
		Error         string
	}
	for name, id := range map[string][]byte{
		"less than an int32": {0xfc, 0xff, 0xff, 0xff, 0xff},
		"least":              {0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		var b bytes.Buffer
		enc := gob.NewEncoder(&b)
		enc.Encode(header{"T.First", 1, ""})
		definition := append(id, 2, 2, 4, 0, 0) // of a slice of int
		b.WriteByte(byte(len(definition)))
		b.Write(definition)
		enc.Encode(header{"T.Second", 2, ""}) // where the value should be
		enc.Encode(5)
		c := codec.NewGobCodec(struct {
			io.Reader
			io.Writer
			io.Closer
		}{&b, io.Discard, io.NopCloser(nil)})
		var h codec.Header
		err := c.ReadHeader(&h)
		if err == nil {
			c.ReadBody(new(int))
			err = c.ReadHeader(&h)
		}
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, the stream goes on with %+v", name, err, h)
		}
	}
}

// TestDefinitionsOutliveBodies skips each body in turn, or decodes it into
// something that does not fit. Later bodies need the definitions in it.
func TestDefinitionsOutliveBodies(t *testing.T) {
	misfits := map[string]func() any{
		"skipped":      func() any { return nil },
		"wrong type":   func() any { return new(struct{ Any, List, Map int }) },
		"no pointer":   func() any { return 5 },
		"nil pointer":  func() any { return (*box)(nil) },
		"no interface": func() any { return new(string) },
	}
	each(t, gobLayouts, func(t *testing.T, l layout) {
		for name, misfit := range misfits {
			for first := range anyValues() {
				t.Run(fmt.Sprint(name, " ", first), func(t *testing.T) {
					c := l.open(new(tape))
					for i, v := range anyValues() {
						send(t, c, v)
						readHeader(t, c)
						if i == first {
							if target := misfit(); c.ReadBody(target) == nil && target != nil {
								t.Errorf("ReadBody into %T did not fail", target)
							}
							continue
						}
						got := zero(v)
						if err := c.ReadBody(got); err != nil {
							t.Fatalf("ReadBody of %#v: %v", v, err)
						}
						checkBody(t, got, v)
					}
				})
			}
		}
	})
}

// moody encodes itself as it likes.
type moody struct{ encode func() ([]byte, error) }

func (m moody) GobEncode() ([]byte, error)   { return m.encode() }
func (m moody) MarshalJSON() ([]byte, error) { return m.encode() }
func (m *moody) GobDecode([]byte) error      { return nil }

func failing() moody {
	return moody{func() ([]byte, error) { return nil, errors.New("not today") }}
}

func panicking() moody { return moody{func() ([]byte, error) { panic("not today") }} }

func init() { gob.Register(moody{}) }

// A carrier can hold a value that can't be encoded, behind a value of a new type.
type carrier struct {
	Leaf  *plain
	Moody *moody
	First any
	Then  any
}

// TestA9_ValuesThatCannotBeEncoded fails to encode a value, as the very first
// message or later. The next values are of the same types, and need the
// definitions that came with it.
func TestA9_ValuesThatCannotBeEncoded(t *testing.T) {
	fail, panics := failing(), panicking()
	tests := []struct {
		name string
		bad  any
		gob  bool // only for gob
	}{
		{"chan", make(chan int), false},
		{"func", func() {}, false},
		{"chan in an interface", box{make(chan int)}, false},
		{"func behind a new type", carrier{Leaf: &plain{Name: "n"}, First: box{leaf{1}}, Then: func() {}}, false},
		{"unregistered behind a new type", carrier{Leaf: &plain{}, First: boxes{List: []any{leaf2{}}}, Then: struct{ Z int }{1}}, true},
		{"nil pointer in an interface", carrier{First: leaf{1}, Then: (*leaf)(nil)}, true},
		{"failing", &fail, false},
		{"failing behind a new type", carrier{Leaf: &plain{}, First: leaf{1}, Moody: &fail}, false},
		{"failing in an interface", carrier{Leaf: &plain{}, First: leaf{1}, Then: fail}, false},
		{"panicking", &panics, true},
		{"panicking in an interface", carrier{Leaf: &plain{}, First: leaf{1}, Then: panics}, true},
	}
	good := []any{
		plain{"a", leaf{2}}, carrier{Leaf: &plain{"b", leaf{3}}, First: leaf{4}, Then: box{leaf{5}}},
		boxes{List: []any{leaf2{[]leaf3{{"c"}}}}}, box{box{leaf{6}}},
	}
	each(t, layouts, func(t *testing.T, l layout) {
		isGob := strings.HasPrefix(l.name, "gob")
		for _, test := range tests {
			if test.gob && !isGob {
				continue
			}
			t.Run(test.name, func(t *testing.T) {
				conn := new(tape)
				c := l.open(conn)
				for range 2 {
					for _, v := range good {
						if err := c.Write(new(codec.Header), test.bad); err == nil || conn.Len() > 0 {
							t.Fatalf("Write returned %v and wrote %d bytes", err, conn.Len())
						}
						send(t, c, v)
						readHeader(t, c)
						got := zero(v)
						if err := c.ReadBody(got); err != nil {
							t.Fatalf("ReadBody of %#v: %v", v, err)
						}
						if isGob { // JSON does not bring back what was in an interface
							checkBody(t, got, v)
						}
					}
				}
			})
		}
	})
}

// TestSettledMoodyEncoder is about the same failure once all types are defined.
func TestSettledMoodyEncoder(t *testing.T) {
	each(t, gobLayouts, func(t *testing.T, l layout) {
		var fails error
		m := moody{func() ([]byte, error) { return []byte("x"), fails }}
		c := l.open(new(tape))
		send(t, c, &m)
		receive[moody](t, c)
		fails = errors.New("not today")
		wantIs(t, c.Write(new(codec.Header), &m), fails)
		fails = nil
		send(t, c, &m)
		receive[moody](t, c)
	})
}

// oldHeader is the header as old peers know it.
type oldHeader struct {
	ServiceMethod string
	Seq           uint64
	Error         string
}

// TestPlainGobWire reads with a bare decoder what a GobCodec writes, and the
// other way round, as old peers do.
func TestPlainGobWire(t *testing.T) {
	conn := new(tape)
	c := codec.NewGobCodec(conn)
	h := codec.Header{ServiceMethod: "Service.Method", Seq: 7, Error: "100% of load"}
	h.Frame().Metadata = map[string]string{"not": "sent"}
	if err := c.Write(&h, plain{"n", leaf{1}}); err != nil {
		t.Fatal(err)
	}
	checkDefinition(t, conn.Bytes())
	send(t, c, box{leaf{2}})
	dec := gob.NewDecoder(conn)
	for _, want := range []any{
		oldHeader{"Service.Method", 7, "100% of load"}, plain{"n", leaf{1}},
		oldHeader{"Service.Method", 7, ""}, box{leaf{2}},
	} {
		got := zero(want)
		if err := dec.Decode(got); err != nil {
			t.Fatal(err)
		}
		checkBody(t, got, want)
	}

	enc := gob.NewEncoder(conn)
	for _, v := range anyValues() {
		enc.Encode(oldHeader{ServiceMethod: "Service.Method", Seq: 7})
		enc.Encode(v)
	}
	for _, v := range anyValues() {
		readHeader(t, c)
		got := zero(v)
		if err := c.ReadBody(got); err != nil {
			t.Fatal(err)
		}
		checkBody(t, got, v)
	}
}

// checkDefinition checks that stream begins with the definition of a struct of
// exactly the three fields of a header.
func checkDefinition(t *testing.T, stream []byte) {
	t.Helper()
	const method = "\x01\x0dServiceMethod" // its first field, behind their number
	i := bytes.Index(stream, []byte(method))
	if i < 1 || stream[i-1] != 3 {
		t.Errorf("the header is not defined with three fields: %q", stream)
	}
}

// TestWholeHeader sends a Header as codecs of other people do: whole. What our
// own layouts carry beyond GeeRPC's three fields must not show.
func TestWholeHeader(t *testing.T) {
	h := &codec.Header{ServiceMethod: "Service.Method", Seq: 7, Error: "e"}
	*h.Frame() = codec.Frame{Kind: codec.Reply, Timeout: 1, Code: 2, Metadata: map[string]string{"k": "v"}}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(h); err != nil {
		t.Fatal(err)
	}
	checkDefinition(t, b.Bytes())
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"ServiceMethod":"Service.Method","Seq":7,"Error":"e"}`; string(data) != want {
		t.Errorf("as JSON it is %s, want %s", data, want)
	}
}

// TestOneWrite checks that on a bare connection each message is one write.
func TestOneWrite(t *testing.T) {
	each(t, layouts, func(t *testing.T, l layout) {
		conn := &writeCounter{}
		c := l.open(conn)
		for n := 1; n <= 3; n++ {
			send(t, c, plain{"n", leaf{n}})
			if conn.writes != n {
				t.Fatalf("%d messages took %d writes", n, conn.writes)
			}
		}
	})
}

type writeCounter struct{ writes int }

func (c *writeCounter) Write(p []byte) (int, error) { c.writes++; return len(p), nil }
func (c *writeCounter) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *writeCounter) Close() error                { return nil }
