package httpcall

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"testing"

	"geerpc/codec"
)

// FuzzRequest reads and answers requests. Each is refused with a status and an object, or
// answered; nothing panics.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][4]string{
		{"/Arith/Add", "application/json", "250", `{"A":1,"B":2}`},
		{"/Arith.Add", "application/json; charset=utf-8", "0", ""},
		{"/", "application/json-rpc", "", `[{"jsonrpc":"2.0","method":"a","params":[1],"id":1},{"jsonrpc":"2.0","method":"b"},1]`},
		{"/rpc", "application/json", "99999999999", `{"method":"a","params":[1],"id":1}{`},
		{"/a/b/c.d", "text/plain", "-1", "\xff"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, path, contentType, timeout, body string) {
		req, w := post("/", body, "Metadata-"+timeout, contentType), httptest.NewRecorder()
		req.URL.Path = path
		req.Header["Content-Type"], req.Header[timeoutHeader] = []string{contentType}, []string{timeout}
		if timeout == "" {
			delete(req.Header, timeoutHeader)
		}
		x, refusal := Rules{MaxBytes: 1 << 16, JSONRPC: true}.Read(w, req)
		if refusal != nil {
			refusal.Write(w)
			var e errorBody
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code < 400 || e.Code == "" || e.Ran != "never" {
				t.Errorf("%d %s, %v", w.Code, w.Body, err)
			}
			return
		}
		c, calls := x.NewCodec(nil), 0
		for {
			var h codec.Header
			if err := c.ReadHeader(&h); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			calls++
			var arg any
			if err := c.ReadBody(&arg); err != nil && h.Error == "" {
				h.Error = err.Error()
			}
			h.Frame().Kind = codec.Reply
			if err := c.Write(&h, arg); err != nil {
				t.Fatalf("%s is not answered: %v", h.ServiceMethod, err)
			}
		}
		if calls == 0 {
			t.Error("nothing was read, and nothing refused")
		}
		if a := x.Answer(); a == nil && !x.isJSONRPC() || a != nil && !json.Valid(a.Body) {
			t.Errorf("answer is %+v", a)
		}
	})
}
