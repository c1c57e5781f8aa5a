package httpcall

import (
	"io"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
	"geerpc/internal/codes"
)

// exchange returns the Exchange of a good request.
func exchange(t *testing.T, path, body string, header ...string) *Exchange {
	t.Helper()
	x, refusal := Rules{}.Read(httptest.NewRecorder(), post(path, body, header...))
	if refusal != nil {
		t.Fatal(refusal)
	}
	return x
}

// answered returns the answer as a client gets it.
func answered(t *testing.T, x *Exchange) *httptest.ResponseRecorder {
	t.Helper()
	select {
	case <-x.Done():
	default:
		t.Fatal("there is no answer")
	}
	w := httptest.NewRecorder()
	x.Answer().Write(w)
	return w
}

func TestDirect_Header(t *testing.T) {
	c := exchange(t, "/Arith/Add", "{}", timeoutHeader, "250", "Metadata-Tenant", "blue").NewCodec(nil)
	var h codec.Header
	if err := c.ReadHeader(&h); err != nil {
		t.Fatal(err)
	}
	f := h.Frame()
	if h.ServiceMethod != "Arith.Add" || f.Kind != codec.Call || f.Timeout != int64(250*time.Millisecond) || f.Metadata["tenant"] != "blue" || c.(codec.Extended).Ready() {
		t.Errorf("header is %+v", h)
	}
	if err := c.ReadBody(nil); err != nil {
		t.Error(err)
	}
	if err := c.ReadHeader(&h); err != io.EOF {
		t.Errorf("behind the call: %v", err)
	}
}

func TestDirect_Body(t *testing.T) {
	type args struct{ A, B int }
	before := args{7, 0}
	for _, c := range []struct {
		body string
		want args
		err  bool
	}{
		{`{"A":1,"B":2}`, args{1, 2}, false},
		{" {\"B\":2}\r\n", args{7, 2}, false},
		{"", before, false},
		{"null", before, false},
		{`{"A":1`, before, true},
		{`{"A":1} {"A":2}`, before, true},
		{`A=1`, before, true},
		{`  `, before, true},
		{`[1,2]`, before, true},
		{`{"A":"one"}`, before, true},
		{strings.Repeat("[", 100_000), before, true},
	} {
		codec, got := exchange(t, "/Arith/Add", c.body).NewCodec(nil), before
		if err := codec.ReadBody(&got); (err != nil) != c.err || got != c.want {
			t.Errorf("%.50q is %+v, %v", c.body, got, err)
		}
	}
}

func TestDirect_Reply(t *testing.T) {
	type reply struct{ C any }
	for _, c := range []struct {
		reply any
		want  string
	}{
		{&reply{3}, "{\"C\":3}\n"},
		{reply{"<&>\n"}, "{\"C\":\"<&>\\n\"}\n"},
		{nil, "null\n"},
		{(*reply)(nil), "null\n"},
		{"", "\"\"\n"},
		{[]byte("\n"), "\"Cg==\"\n"},
	} {
		x := exchange(t, "/Arith/Add", "")
		h := codec.Header{ServiceMethod: "Arith.Add", Seq: 1}
		h.Frame().Metadata = map[string]string{"cache-age": "3"}
		if err := x.NewCodec(nil).Write(&h, c.reply); err != nil {
			t.Fatal(err)
		}
		w := answered(t, x)
		if w.Code != 200 || w.Body.String() != c.want || w.Header().Get("Content-Type") != "application/json" ||
			w.Header().Get("Metadata-Cache-Age") != "3" || w.Result().ContentLength != int64(len(c.want)) || !w.Flushed {
			t.Errorf("%v: %d %q %v", c.reply, w.Code, w.Body, w.Header())
		}
	}
}

// A reply is not limited, because HTTP's clients have no limit that is known.
func TestDirect_LargeReply(t *testing.T) {
	x := exchange(t, "/Files/Read", "")
	large := strings.Repeat("x", codec.DefaultMaxMessageBytes+1)
	if err := x.NewCodec(nil).Write(new(codec.Header), large); err != nil {
		t.Fatal(err)
	}
	if w := answered(t, x); w.Body.Len() != len(large)+len("\"\"\n") {
		t.Errorf("the answer has %d bytes", w.Body.Len())
	}
}

// A reply that can't be encoded leaves room for the error that follows.
func TestDirect_ReplyNotEncoded(t *testing.T) {
	type node struct{ Next *node }
	deep := new(node)
	for range 100_000 {
		deep = &node{deep}
	}
	for name, reply := range map[string]any{"a channel": make(chan int), "not a number": math.NaN(), "deep": deep} {
		x := exchange(t, "/Arith/Add", "")
		c := x.NewCodec(nil)
		if err := c.Write(new(codec.Header), reply); err == nil {
			t.Fatalf("%s: encoded", name)
		}
		h := codec.Header{Error: "not encoded"}
		h.Frame().Code = codes.Internal
		if err := c.Write(&h, nil); err != nil {
			t.Fatal(err)
		}
		if w := answered(t, x); w.Code != 500 || !strings.Contains(w.Body.String(), "not encoded") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestDirect_Errors(t *testing.T) {
	for _, c := range []struct {
		code, where, ran uint8
		text             string
		status           int
		want             string
	}{
		{codes.NotFound, 2, 1, "no <such> method", 404, `{"code":"not_found","message":"no \u003csuch\u003e method","where":"server","ran":"never"}`},
		{codes.Unknown, 3, 2, "100% of load", 500, `{"code":"unknown","message":"100% of load","where":"method","ran":"yes"}`},
		{codes.DeadlineExceeded, 3, 0, "", 504, `{"code":"deadline_exceeded","message":"","where":"method","ran":"maybe"}`},
		{codes.Canceled, 3, 2, "x", 499, `{"code":"canceled","message":"x","where":"method","ran":"yes"}`},
		{77, 3, 2, "x", 500, `{"code":"code(77)","message":"x","where":"method","ran":"yes"}`},
	} {
		x := exchange(t, "/Arith/Add", "")
		h := codec.Header{Error: c.text}
		f := h.Frame()
		f.Kind, f.Code, f.Where, f.Ran, f.Metadata = codec.Reply, c.code, c.where, c.ran, map[string]string{"k": "v"}
		if err := x.NewCodec(nil).Write(&h, struct{}{}); err != nil {
			t.Fatal(err)
		}
		w := answered(t, x)
		if w.Code != c.status || w.Body.String() != c.want+"\n" || w.Header().Get("Metadata-K") != "v" {
			t.Errorf("%d: %d %s %v", c.code, w.Code, w.Body, w.Header())
		}
	}
}

// TestStatusOf has the table of the Connect protocol.
func TestStatusOf(t *testing.T) {
	want := []int{500, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500}
	for code, status := range want {
		if got := statusOf(uint8(code)); got != status {
			t.Errorf("%s is %d, want %d", codes.Name(uint8(code)), got, status)
		}
	}
}

// Only the first of an answer and a Close counts.
func TestExchange_Close(t *testing.T) {
	x := exchange(t, "/Arith/Add", "")
	c := x.NewCodec(nil)
	c.Write(new(codec.Header), 1)
	c.Close()
	c.Write(new(codec.Header), 2)
	if w := answered(t, x); w.Body.String() != "1\n" {
		t.Errorf("answer is %s", w.Body)
	}
	x = exchange(t, "/Arith/Add", "")
	x.Close()
	x.NewCodec(nil).Write(new(codec.Header), 1)
	<-x.Done()
	if x.Answer() != nil {
		t.Errorf("answer is %+v", x.Answer())
	}
}
