package codec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"geerpc/codec"
)

// TestB14_JSON reads JSON that people and other languages write. A body may fail,
// but the good call behind it must be read.
func TestB14_JSON(t *testing.T) {
	const header, good = `{"ServiceMethod":"Service.Method","Seq":7}`, `{"Name":"good"}`
	deep := strings.Repeat(`{"Name":`, 100_000)
	tests := []struct {
		name string
		body string
		want string // Name of the body; "" if it must fail
	}{
		{"duplicate keys", `{"Name":"first","Name":"second"}`, "second"},
		{"unknown keys", `{"Nickname":"x","Name":"n"}`, "n"},
		{"another case", `{"name":"n"}`, "n"},
		{"bad UTF-8", "{\"Name\":\"a\xffb\"}", "a\uFFFDb"},
		{"half a surrogate", `{"Name":"\ud800"}`, "\uFFFD"},
		{"brackets in a string", `{"Name":"}]{[\"\\"}`, `}]{["\`},
		{"white space", " \t\r\n {\"Name\" \t: \"n\" } \r", "n"},
		{"huge number", `{"Name":"n","Leaf":{"N":1e400}}`, ""},
		{"number of 10,000 digits", `{"Name":"n","Leaf":{"N":` + strings.Repeat("9", 10_000) + `}}`, ""},
		{"raw newline in a string", "{\"Name\":\"a\n", ""},
		{"object that does not end", "{\"Name\":\n", ""},
		{"nesting", deep + "1" + strings.Repeat("}", 100_000), ""},
		{"nesting that does not end", deep + "\n", ""},
		{"wrong brackets", `{"Name":["n"}]`, ""},
		{"a closing bracket", `]`, ""},
		{"a word", "word\n", ""},
		{"a word and white space", "word\r\n", ""},
		{"a word and a bracket", "word]", ""},
		{"a wrong escape", `{"Name":"\x"}`, ""},
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				// There are no newlines except those that are needed.
				c := l.open(play([]byte(header + test.body + header + good + header + good)))
				readHeader(t, c)
				var body plain
				err := c.ReadBody(&body)
				switch {
				case test.want == "" && err == nil:
					t.Errorf("body is %+v, want an error", body)
				case test.want != "" && (err != nil || body.Name != test.want):
					t.Errorf("body is %+v, %v; want %q", body, err, test.want)
				}
				for range 2 {
					if got := receive[plain](t, c); got.Name != "good" {
						t.Errorf("the next body is %+v", got)
					}
				}
			})
		}
	})
}

// TestB14_JSONHeaders reads invalid headers. The stream ends, because a peer that
// sends them can't be answered.
func TestB14_JSONHeaders(t *testing.T) {
	tests := map[string]string{
		"seq out of range":   `{"Seq":18446744073709551616}`,
		"seq with a point":   `{"Seq":1.5}`,
		"negative seq":       `{"Seq":-1}`,
		"huge seq":           `{"Seq":1e400}`,
		"seq in quotes":      `{"Seq":"1"}`,
		"list":               `[]`,
		"string":             `"Service.Method"`,
		"number":             "1\n",
		"nesting":            strings.Repeat("[", 100_000) + "\n",
		"string, no end":     "\"\n",
		"not even JSON":      "GET / HTTP/1.1\n",
		"method is a number": `{"ServiceMethod":1}`,
	}
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for name, header := range tests {
			t.Run(name, func(t *testing.T) {
				c := l.open(play([]byte(header + "{}\n")))
				wantIs(t, c.ReadHeader(new(codec.Header)), codec.ErrCorrupt)
			})
		}
	})
}

// TestB14_WhiteSpace checks that endless white space is limited as well.
func TestB14_WhiteSpace(t *testing.T) {
	c := jsonPlain.reader(strings.NewReader(strings.Repeat(" \n", 1000)), 1999)
	wantIs(t, c.ReadHeader(new(codec.Header)), codec.ErrTooLarge)
}

// TestJSONKinds checks what peers may leave out on the extended layout, and that
// the plain one ignores what it does not negotiate.
func TestJSONKinds(t *testing.T) {
	tests := []struct {
		line            string
		extended, plain codec.Kind
	}{
		{`{"ServiceMethod":"A.B","Seq":1}`, codec.Call, codec.Call},
		{`{"Seq":1}`, codec.Reply, codec.Call},
		{`{"Seq":1,"Kind":"call"}`, codec.Call, codec.Call},
		{`{"ServiceMethod":"A.B","Seq":1,"Kind":"reply"}`, codec.Reply, codec.Call},
		{`{"Seq":1,"Kind":"cancel"}`, codec.Cancel, codec.Call},
		{`{"Seq":1,"Kind":"wave"}`, 255, codec.Call},
	}
	for _, test := range tests {
		for _, l := range []layout{jsonPlain, jsonExtended} {
			var h codec.Header
			if err := l.open(play([]byte(test.line + "{}"))).ReadHeader(&h); err != nil {
				t.Fatal(err)
			}
			want := test.extended
			if l.name == jsonPlain.name {
				want = test.plain
			}
			if got := h.Frame().Kind; got != want {
				t.Errorf("%s, %s: kind is %v, want %v", test.line, l.name, got, want)
			}
		}
	}
}

// A field of the header that has the wrong type affects its message alone, as
// long as it is clear which message that is.
func TestB15_JSONHeaderTypes(t *testing.T) {
	const good = `{"ServiceMethod":"Service.Method","Seq":7}{"Name":"good"}`
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, field := range []string{`"Metadata":{"x":5}`, `"Timeout":"1s"`, `"Error":7`, `"Code":300`} {
			c := l.open(play([]byte(`{"ServiceMethod":"S.M",` + field + `,"Seq":7}{"Name":"n"}` + "\n" + good)))
			var h codec.Header
			var body plain
			if err := c.ReadHeader(&h); err != nil || h.Seq != 7 || h.ServiceMethod != "S.M" {
				t.Errorf("%s: %+v, %v", field, h, err)
			} else if err := c.ReadBody(&body); err == nil {
				t.Errorf("%s: no error", field)
			} else if got := receive[plain](t, c); got.Name != "good" {
				t.Errorf("%s: the next body is %+v", field, got)
			}
		}
		for _, field := range []string{`"Seq":"7"`, `"Seq":-1`, `"ServiceMethod":1`} {
			c := l.open(play([]byte(`{"Seq":7,` + field + `}{"Name":"n"}` + "\n" + good)))
			if err := c.ReadHeader(new(codec.Header)); !errors.Is(err, codec.ErrCorrupt) {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// Metadata is measured before it is decoded.
func TestE54_JSONMetadataSize(t *testing.T) {
	var line strings.Builder
	line.WriteString(`{"ServiceMethod":"S.M","Seq":7,"Metadata":{"":""`)
	for i := 0; line.Len() < 3<<20; i++ {
		fmt.Fprintf(&line, `,"%x":""`, i)
	}
	line.WriteString("}}\nnull\n")
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		c := l.open(play([]byte(line.String())))
		var h codec.Header
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.ReadHeader(&h)
		runtime.ReadMemStats(&after)
		if err != nil || h.Seq != 7 || c.ReadBody(new(int)) == nil {
			t.Errorf("%+v, %v", h, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%d MiB were allocated", took>>20)
		}
	})
}

// TestB102_ScalarBodies reads bodies that end without a bracket: at white space
// or at the next header, not only at the end of the line.
func TestB102_ScalarBodies(t *testing.T) {
	const header = `{"ServiceMethod":"Service.Method","Seq":7}`
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		for _, body := range []string{"12", "null", "true", "false", "-1.5e3"} {
			for _, gap := range []string{" ", "\t", "\r", "\n", "", " \r\n", "  "} {
				c := l.open(play([]byte(header + " " + body + gap + header + `"good"`)))
				if got, want := receive[any](t, c), decoded(t, body); got != want {
					t.Errorf("%q: body is %v, want %v", body+gap, got, want)
				}
				if got := receive[string](t, c); got != "good" {
					t.Errorf("%q: the next body is %q", body+gap, got)
				}
			}
		}
	})
}

// decoded returns what encoding/json makes of text.
func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
