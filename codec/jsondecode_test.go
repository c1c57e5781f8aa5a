package codec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"geerpc/internal/wire"
)

// A halfReader takes what it is given, and fails if that is a number.
type halfReader struct{ text string }

func (h *halfReader) UnmarshalJSON(data []byte) error {
	if h.text = string(data); len(data) > 0 && data[0] <= '9' && data[0] != '"' {
		return fmt.Errorf("a number: %s", data)
	}
	return nil
}

// unmarshalInto is what bodies are decoded into, anew for each.
var unmarshalInto = []func() any{
	func() any { return new(fuzzValue) },
	func() any { return new(any) },
	func() any { return new([]int) },
	func() any { return new([2]string) },
	func() any { return new(map[string]halfReader) },
	func() any { return new(json.RawMessage) },
	func() any { return &fuzzValue{N: 5, M: map[string]int{"a": 1}, P: &fuzzValue{S: "s"}, Any: new(int)} },
	func() any { return fuzzValue{} },
	func() any { return (*int)(nil) },
}

// checkUnmarshal compares what unmarshalJSON and json.Unmarshal make of a body.
func checkUnmarshal(t *testing.T, body []byte) {
	t.Helper()
	for _, into := range unmarshalInto {
		got, want := into(), into()
		unmarshalJSON([]byte(`{"a":"other body"}`), new(any)) // the decoder is not new
		gotErr, wantErr := unmarshalJSON(body, got), json.Unmarshal(body, want)
		if !reflect.DeepEqual(gotErr, wantErr) { // offsets, too
			t.Errorf("%q into %T: %#v, want %#v", body, got, gotErr, wantErr)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q into %T: %+v, want %+v", body, got, got, want)
		}
	}
}

// bodiesOf returns the values of data as a codec finds them.
func bodiesOf(data []byte) (bodies [][]byte) {
	for {
		s := wire.JSONScanner{Lines: true}
		n, complete := s.Scan(data)
		if !complete {
			return bodies
		}
		bodies, data = append(bodies, data[:n]), data[n:]
	}
}

// FuzzJSONUnmarshal compares what unmarshalJSON and json.Unmarshal make of bodies that
// a scanner has found.
func FuzzJSONUnmarshal(f *testing.F) {
	for _, s := range []string{`{"N":1,"S":"s","L":[{"N":2}],"P":{"F":1.5},"Any":[1,{}],"Bits":[true]}`, "\n [1,2]\n", `["a","b","c"]`, `{"a":1}`,
		`{"a":"x","b":2}`, `[[[]]]`, `{"N":"s","S":"s"}`, `{"N":1e400}`, `{"N":1]{`, `{]`, `[}`, `[1 2]`, `[1],[2]`, `{"a":"\ud800"}`, "{\"a\":\n",
		`[1,2}`, `{} {}`, `]`, `"text"`, "12\n", "nul\n", "{\"S\":\"\x01\"}", `[` + strings.Repeat("1,", maxKeptDecode) + `1]`,
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, body := range bodiesOf(data) {
			checkUnmarshal(t, body)
		}
	})
}
