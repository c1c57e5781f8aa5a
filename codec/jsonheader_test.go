package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// oddStrings are strings that encoders and decoders treat specially.
var oddStrings = []string{"", "Service.Method", `"`, `\`, "\x00", "\x1f", "\x7f", "\b\f\n\r\t", "<&>", "é", "名字", "\u2028", "\u2029",
	"😀", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", strings.Repeat("x", 300), strings.Repeat("x", 300) + "\u2028"}

// encodeJSONHeader returns what package encoding/json makes of a header.
func encodeJSONHeader(t *testing.T, jh jsonHeader) []byte {
	t.Helper()
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&jh); err != nil {
		t.Fatal(err)
	}
	return want.Bytes()
}

// checkAppend compares what append and encoding/json make of a header, and parses
// what they have made. It reports whether parse took it.
func checkAppend(t *testing.T, jh jsonHeader) bool {
	t.Helper()
	want := encodeJSONHeader(t, jh)
	if got := jh.append([]byte("before")); string(got) != "before"+string(want) {
		t.Errorf("%+v became\n%s, want\n%s", jh, got[len("before"):], want)
	}
	return checkParse(t, bytes.TrimSuffix(want, []byte("\n")))
}

// checkParse compares what parse and encoding/json make of a header. It reports
// whether parse took it.
func checkParse(t *testing.T, data []byte) bool {
	t.Helper()
	var got, want jsonHeader
	if !got.parse(data, new(names)) {
		return false
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Errorf("%q was parsed as %+v, encoding/json says %v", data, got, err)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%q was parsed as %+v, want %+v", data, got, want)
	}
	return true
}

// TestJSONHeader writes headers with odd strings and extreme numbers, and reads them.
func TestJSONHeader(t *testing.T) {
	for _, s := range oddStrings {
		for _, n := range []uint64{0, 1, 9, 10, 255, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64} {
			jh := jsonHeader{ServiceMethod: s, Seq: n}
			checkAppend(t, jh)
			jh.ServiceMethod, jh.Error, jh.Kind, jh.Timeout, jh.Code = "A.B", s, "reply", int64(n), uint8(n)
			checkAppend(t, jh)
			jh.Where, jh.Ran, jh.Kind = uint8(n), uint8(n), s
			checkAppend(t, jh)
			for _, value := range oddStrings {
				jh.Metadata = jsonMetadata{s: value, "b": s, "a": "", "\xff": "1", "\xfe": "2", "é": "3"}
				checkAppend(t, jh)
			}
		}
	}
}

// TestJSONHeader_Fast: parse takes all that our own encoders write of calls, replies
// and errors in ASCII, and what a person types in that order.
func TestJSONHeader_Fast(t *testing.T) {
	for kind := range kindNames {
		for bits := range 1 << 7 {
			at := func(bit int) uint8 { return uint8(bits >> bit & 1 * 255) }
			jh := jsonHeader{ServiceMethod: "A.B", Seq: math.MaxUint64 * uint64(bits&1), Error: strings.Repeat("it failed", bits>>1&1),
				Kind: kindNames[kind], Timeout: math.MaxInt64 * int64(bits>>2&1), Code: at(3), Where: at(4), Ran: at(5)}
			if bits>>6 == 1 {
				jh.Metadata = jsonMetadata{"key": "value", "other": ""}
			}
			if !checkAppend(t, jh) {
				t.Fatalf("%+v took the slow path", jh)
			}
		}
	}
	for _, header := range []string{`{}`, ` {"Seq":7}`, "\r\n\t{\"ServiceMethod\":\"A.B\",\"Seq\":1}", `{"Error":"","Ran":2}`,
		`{"ServiceMethod":"A.B","Metadata":{"k":"v","k":"w"}}`} {
		if !checkParse(t, []byte(header)) {
			t.Errorf("%s took the slow path", header)
		}
	}
}

// slowHeaders are headers that parse leaves to encoding/json.
var slowHeaders = []string{``, ` `, `{`, `[]`, `null`, `{"Seq":01}`, `{"Seq":-1}`, `{"Seq":1.0}`, `{"Seq":1e2}`, `{"Seq":18446744073709551616}`,
	`{"Seq":99999999999999999999}`, `{"Seq": 1}`, `{"Seq":1 }`, `{"Seq":1,}`, `{,"Seq":1}`, `{"Seq":1}x`, `{"Seq":1,"Seq":2}`, `{"seq":1}`,
	`{"Seq":2,"ServiceMethod":"A.B"}`, `{"Seq":"1"}`, `{"Seq":null}`, `{"Seq":}`, `{"ServiceMethod":"\u0041.B"}`, `{"ServiceMethod":"é"}`,
	"{\"Error\":\"\xff\"}", "{\"Error\":\"\n\"}", `{"Error":"}`, `{"Error":"x}`, `{"Kind":"wave"}`, `{"Kind":""}`, `{"Kind":"Call"}`,
	`{"Timeout":-5}`, `{"Timeout":9223372036854775808}`, `{"Code":256}`, `{"Where":1000}`, `{"Ran":-0}`, `{"Metadata":{}}`, `{"Metadata":null}`,
	`{"Metadata":{"k":1}}`, `{"Metadata":{"k":"v",}}`, `{"Metadata":{"k":"v"`, `{"Metadata":{"k"}}`, `{"Extra":1}`, `{"Seq":1}{}`, `{"Seq":1}` + "\n"}

// TestJSONHeader_Slow: what is not as expected is left to encoding/json.
func TestJSONHeader_Slow(t *testing.T) {
	large := fmt.Sprintf(`{"Metadata":{"k":%q}}`, strings.Repeat("v", maxJSONMetadata))
	for _, header := range append(slowHeaders, large) {
		if checkParse(t, []byte(header)) {
			t.Errorf("%.100q took the fast path", header)
		}
	}
}

// FuzzJSONHeaderParse compares what parse and encoding/json make of any bytes.
func FuzzJSONHeaderParse(f *testing.F) {
	for _, header := range slowHeaders {
		f.Add([]byte(header))
	}
	f.Add([]byte(`{"ServiceMethod":"A.B","Seq":123,"Error":"e","Kind":"reply","Timeout":5,"Code":4,"Where":1,"Ran":2,"Metadata":{"k":"v","l":"w"}}`))
	f.Fuzz(func(t *testing.T, data []byte) { checkParse(t, data) })
}

// FuzzJSONHeaderAppend compares what append and encoding/json make of any header.
func FuzzJSONHeaderAppend(f *testing.F) {
	for _, s := range oddStrings {
		f.Add("Service.Method", uint64(1), s, "reply", int64(5), byte(1), byte(2), byte(3), s, "v")
		f.Add(s, uint64(math.MaxUint64), "error", s, int64(-1), byte(255), byte(0), byte(0), "k", s)
	}
	f.Fuzz(func(t *testing.T, method string, seq uint64, text, kind string, timeout int64, code, where, ran byte, k, v string) {
		checkAppend(t, jsonHeader{method, seq, text, kind, timeout, code, where, ran, jsonMetadata{k: v, v: k, "m": ""}})
	})
}
