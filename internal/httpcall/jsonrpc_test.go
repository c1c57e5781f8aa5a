package httpcall

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"geerpc/codec"
)

// serve answers each call of an Exchange with its argument, as the core would.
func serve(t *testing.T, x *Exchange) {
	t.Helper()
	c := x.NewCodec(nil)
	for {
		var h codec.Header
		if err := c.ReadHeader(&h); err == io.EOF {
			c.Close()
			return
		} else if err != nil {
			t.Fatal(err)
		}
		f := h.Frame()
		if f.Timeout != int64(250*time.Millisecond) || f.Metadata["tenant"] != "blue" {
			t.Errorf("header is %+v", h)
		}
		var arg any
		if h.Error != "" {
			c.ReadBody(nil)
		} else if err := c.ReadBody(&arg); err != nil {
			t.Fatal(err)
		}
		f.Kind = codec.Reply
		if err := c.Write(&h, arg); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJSONRPC(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"a call", `{"jsonrpc":"2.0","method":"Echo.Do","params":[7],"id":1}`, `{"jsonrpc":"2.0","result":7,"id":1}` + "\n"},
		{"a line", `{"jsonrpc":"2.0","method":"Echo.Do","params":[7],"id":1}` + "\r\n", `{"jsonrpc":"2.0","result":7,"id":1}` + "\n"},
		{"net/rpc/jsonrpc's", `{"method":"Echo.Do","params":[7],"id":1}`, `{"id":1,"result":7,"error":null}` + "\n"},
		{"a batch", `[{"jsonrpc":"2.0","method":"a","params":[7],"id":1},{"jsonrpc":"2.0","method":"b","params":[8]},1]`, "[…7…-32600…]\n"},
		{"a notification", `{"jsonrpc":"2.0","method":"Echo.Do","params":[7]}`, ""},
		{"notifications", `[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"b"}]`, ""},
		{"cut short", `{"jsonrpc":"2.0","method":"foobar, "params":"bar","baz]`, "…-32700…null…\n"},
		{"no JSON", `method=Echo.Do&params=7`, "…-32700…null…\n"},
		{"more behind no JSON", `{]{"jsonrpc":"2.0","method":"a","id":1}`, "…-32700…null…\n"},
	} {
		x, refusal := Rules{JSONRPC: true}.Read(httptest.NewRecorder(), post("/", c.body, timeoutHeader, "250", "Metadata-Tenant", "blue"))
		if refusal != nil {
			t.Errorf("%s: %v", c.name, refusal)
			continue
		}
		serve(t, x)
		if c.want == "" {
			if x.Answer() != nil {
				t.Errorf("%s: %s", c.name, x.Answer().Body)
			}
			continue
		}
		if w := answered(t, x); w.Code != 200 || !matches(w.Body.String(), c.want) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %q", c.name, w.Code, w.Body)
		}
	}
}

// matches reports whether text is the pattern, in which "…" stands for anything.
func matches(text, pattern string) bool {
	for i, part := range strings.Split(pattern, "…") {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return text == ""
}

// One answer is given, so there must be one value.
func TestJSONRPC_OneValue(t *testing.T) {
	const call = `{"jsonrpc":"2.0","method":"a","id":1}`
	for _, body := range []string{call + call, call + "\n" + call, call + " []", "[] 1", call + "}", "", " \n"} {
		want := "batch"
		if strings.TrimSpace(body) == "" {
			want = "empty"
		}
		w := httptest.NewRecorder()
		_, refusal := Rules{JSONRPC: true}.Read(w, post("/", body))
		if refusal == nil {
			t.Errorf("%s is not refused", body)
			continue
		}
		wantRefusal(t, body, w, refusal, 400, "invalid_argument", want)
	}
}

func TestJSONRPC_Off(t *testing.T) {
	for _, path := range []string{"/", "/rpc"} {
		w := httptest.NewRecorder()
		_, refusal := Rules{}.Read(w, post(path, "{}"))
		if refusal == nil {
			t.Fatalf("%s is not refused", path)
		}
		wantRefusal(t, path, w, refusal, 404, "not_found", "/Service/Method")
	}
}

// An answer of JSON-RPC is limited, because that to a batch is as large as all its replies.
func TestJSONRPC_LargeAnswer(t *testing.T) {
	x, _ := Rules{JSONRPC: true, MaxBytes: 1000}.Read(httptest.NewRecorder(), post("/", `{"jsonrpc":"2.0","method":"a","id":1}`))
	c := x.NewCodec(nil)
	var h codec.Header
	c.ReadHeader(&h)
	c.ReadBody(nil)
	if err := c.Write(&h, strings.Repeat("x", 1000)); err == nil {
		t.Error("sent")
	}
	if err := c.Write(&h, "small"); err != nil || !strings.Contains(answered(t, x).Body.String(), "small") {
		t.Error(err)
	}
}
