package codec_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"geerpc/codec"
	"geerpc/internal/codes"
)

// TestJSONStray sends JSON-RPC requests to a codec that takes a header and a body. Each
// is answered in its own language as soon as it is there, and messages go on behind it.
func TestJSONStray(t *testing.T) {
	const good = `{"ServiceMethod":"Service.Method","Seq":7}"text"`
	const text = `"this is a JSON-RPC request, but the connection began with geerpc's hello`
	const two = `{"jsonrpc":"2.0","error":{"code":-32600,"message":` + text
	tests := []struct{ name, request, begins, ends string }{
		{"2.0", `{"jsonrpc":"2.0","method":"sum","params":[1,2],"id":"x"}`, two, `"id":"x"}` + "\n"},
		{"1.0", `{"method":"Arith.Add","params":[{}],"id":5}`, `{"id":5,"result":null,"error":` + text, "}\n"},
		{"a notification", `{"jsonrpc":"2.0","method":"sum"}`, two, `"id":null}` + "\n"},
		{"a method that is no text", `{ "method" : 1, "id": 3 }`, two, `"id":3}` + "\n"},
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, test := range tests {
			for name, stream := range map[string]io.Reader{
				"alone":                 &pieces{[]string{test.request}},
				"on a line":             &pieces{[]string{test.request + "\n"}},
				"behind a message":      &pieces{[]string{good + test.request}},
				"before a message":      &pieces{[]string{test.request + good}},
				"before half a message": &pieces{[]string{test.request + good[:10], good[10:]}},
				"twice":                 &pieces{[]string{test.request + test.request}},
				"in pieces":             iotest.OneByteReader(strings.NewReader(good + test.request + "\n" + test.request + good)),
			} {
				want := 1
				if name == "twice" || name == "in pieces" {
					want = 2
				}
				if n := checkStray(t, l, test.name+" "+name, stream, test.begins, test.ends); n != want {
					t.Errorf("%s %s: %d strays, want %d", test.name, name, n, want)
				}
			}
		}
	})
}

// checkStray reads and answers strays and calls until nothing more comes, and counts the strays.
func checkStray(t *testing.T, l layout, name string, stream io.Reader, begins, ends string) (strays int) {
	t.Helper()
	var out bytes.Buffer
	c := l.open(half{stream, &out}).(codec.Extended)
	for {
		if p, ok := stream.(*pieces); ok && len(p.rest) == 0 && strays > 0 && !c.Ready() {
			return strays // nothing is waited for
		}
		var h codec.Header
		if err := c.ReadHeader(&h); err == io.EOF && strays > 0 {
			return strays
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return strays
		}
		if h.Error == "" {
			var body string
			if err := c.ReadBody(&body); err != nil || body != "text" || h.Seq != 7 {
				t.Errorf("%s: %+v, %q, %v", name, h, body, err)
			}
			continue
		}
		strays++
		f := h.Frame()
		if f.Kind != codec.Call || f.Code != codes.InvalidArgument || f.Where != codes.InServer || f.Ran != codes.RanNever {
			t.Errorf("%s: %+v", name, h)
		}
		if err := c.ReadBody(new(string)); err == nil {
			t.Errorf("%s: it has a body", name)
		}
		out.Reset()
		reply := codec.Header{Seq: h.Seq, Error: h.Error}
		*reply.Frame() = codec.Frame{Kind: codec.Reply, Code: f.Code, Where: f.Where, Ran: f.Ran}
		if err := c.Write(&reply, nil); err != nil || !strings.HasPrefix(out.String(), begins) || !strings.HasSuffix(out.String(), ends) {
			t.Errorf("%s: %s, %v", name, &out, err)
		}
		out.Reset() // its seq is free again
		if err := c.Write(&reply, nil); err != nil || !strings.Contains(out.String(), `"ServiceMethod"`) {
			t.Errorf("%s: %s, %v", name, &out, err)
		}
	}
}

// What merely looks like a stray is a message.
func TestJSONStray_None(t *testing.T) {
	headers := []string{
		`{"ServiceMethod":"Service.Method","Seq":7,"Metadata":{"method":"x"}}`,
		`{"method":"x", "ServiceMethod":"Service.Method","Seq":7}`,
		`{"ServiceMethod":"Service.Method","Seq":7,"method":"x"}`,
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, header := range headers {
			c := l.open(half{&pieces{[]string{header, ` "text"`}}, io.Discard})
			if got := receive[string](t, c); got != "text" {
				t.Errorf("%s: %q", header, got)
			}
		}
	})
}
