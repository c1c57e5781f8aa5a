package codec_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"geerpc/codec"
)

// FuzzJSONRPC has a server and a client read what may be anything. The server answers
// each message once, or not at all if that is made of notifications; behind what is no
// JSON it says so and reads no more.
func FuzzJSONRPC(f *testing.F) {
	for _, example := range jsonrpcExamples {
		f.Add([]byte(example.request))
		f.Add([]byte(example.answer))
	}
	for _, s := range []string{`{"method":"sum","params":[[1,2]],"id":[{}]}{"method":"echo","id":1}`, `{"jsonrpc":"2.0","method":"fail","params":["x"],"id":1.5e3} 5 `,
		`[{"jsonrpc":"2.0","method":"chan","id":-1},[],{"jsonrpc":"2.0","method":"echo","params":{"a":[null]},"id":null}]`,
		`{"id":1,"result":null,"error":{"code":-32601,"message":"m","data":{"code":"not_found","where":"server","ran":"never"}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzJSONRPCServer(t, data)
		fuzzJSONRPCClient(t, data)
	})
}

func fuzzJSONRPCServer(t *testing.T, data []byte) {
	answers := ask(t, bytes.NewReader(data), false)
	if limit := 2000 + 300*len(data); len(answers) > limit {
		t.Errorf("%d bytes of answers to %d bytes", len(answers), len(data))
	}
	want, sound := countAnswers(data)
	got := 0
	for dec := json.NewDecoder(strings.NewReader(answers)); ; got++ {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%q was answered with %q: %v", data, answers, err)
		}
	}
	switch {
	case sound && got != want:
		t.Errorf("%q: %d answers, want %d: %s", data, got, want, answers)
	case !sound && !strings.Contains(answers, "-32700"):
		t.Errorf("%q was answered with %q", data, answers)
	}
}

// countAnswers returns how many answers a stream should have. Sound tells whether it is
// JSON to its end.
func countAnswers(data []byte) (n int, sound bool) {
	for dec, scalarEnds := json.NewDecoder(bytes.NewReader(data)), -1; ; {
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return n, err == io.EOF
		}
		if end := int(dec.InputOffset()); !strings.ContainsRune(`{["`, rune(v[0])) {
			if end-len(v) == scalarEnds { // 00 is no JSON to us, and two values to encoding/json
				return n, false
			}
			scalarEnds = end
		}
		var list []json.RawMessage
		if v[0] != '[' || json.Unmarshal(v, &list) != nil {
			list = []json.RawMessage{v}
		}
		answered := len(list) == 0 || len(list) > 1000
		for _, request := range list {
			answered = answered || !isNotification(request)
		}
		if answered {
			n++
		}
	}
}

func isNotification(request []byte) bool {
	var members struct {
		Version *string         `json:"jsonrpc"`
		Method  *string         `json:"method"`
		ID      json.RawMessage `json:"id"`
	}
	err := json.Unmarshal(request, &members)
	return err == nil && members.Version != nil && *members.Version == "2.0" && members.Method != nil && members.ID == nil
}

func fuzzJSONRPCClient(t *testing.T, data []byte) {
	c := codec.NewJSONRPCClient(half{bytes.NewReader(data), io.Discard})
	var h codec.Header
	for n := 0; c.ReadHeader(&h) == nil; n++ {
		if n > len(data) {
			t.Fatalf("%d messages in %d bytes", n, len(data))
		}
		if h.Frame().Kind == codec.Reply && (h.Error != "") != (h.Frame().Code != 0) {
			t.Errorf("%q became %+v", data, h)
		}
		c.ReadBody([]any{nil, new(int), new(any), new(pair)}[n%4])
	}
}
