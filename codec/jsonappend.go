package codec

import (
	"maps"
	"slices"
	"strconv"
)

// append appends the header, and a newline, byte for byte as a json.Encoder writes
// it that does not escape HTML.
func (jh *jsonHeader) append(b []byte) []byte {
	b = appendJSONString(append(b, `{"ServiceMethod":`...), jh.ServiceMethod)
	b = strconv.AppendUint(append(b, `,"Seq":`...), jh.Seq, 10)
	b = appendJSONString(append(b, `,"Error":`...), jh.Error)
	if jh.Kind != "" {
		b = appendJSONString(append(b, `,"Kind":`...), jh.Kind)
	}
	b = appendJSONInt(b, `,"Timeout":`, jh.Timeout)
	b = appendJSONInt(b, `,"Code":`, int64(jh.Code))
	b = appendJSONInt(b, `,"Where":`, int64(jh.Where))
	b = appendJSONInt(b, `,"Ran":`, int64(jh.Ran))
	if len(jh.Metadata) > 0 {
		b = jh.Metadata.append(append(b, `,"Metadata":`...))
	}
	return append(b, "}\n"...)
}

// append appends the pairs in the order of their keys.
func (m jsonMetadata) append(b []byte) []byte {
	separator := byte('{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendJSONString(append(b, separator), k)
		b = appendJSONString(append(b, ':'), m[k])
		separator = ','
	}
	return append(b, '}')
}

// appendJSONInt appends a field, unless it is zero.
func appendJSONInt(b []byte, field string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, field...), n, 10)
}

// appendJSONString appends s in quotes. Package encoding/json does it if anything has
// to be escaped, or may have to be.
func appendJSONString(b []byte, s string) []byte {
	for i := range len(s) {
		if !standsForItself(s[i]) {
			return appendEscaped(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// standsForItself reports whether a byte is a character that is never escaped in JSON.
func standsForItself(b byte) bool { return b >= ' ' && b < 0x80 && b != '"' && b != '\\' }

func appendEscaped(b []byte, s string) []byte {
	b, _ = appendJSON(b, s) // a string: it can't fail
	return b[:len(b)-1]     // without the newline
}
