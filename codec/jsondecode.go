package codec

import (
	"encoding/json"
	"io"
	"sync"
)

// maxKeptDecode is the largest body that a kept decoder decodes, which copies it into
// a buffer of its own.
const maxKeptDecode = 4 << 10

// jsonDecoders are decoders to be used again. What json.Unmarshal sets up for each
// body costs more than decoding a small one.
var jsonDecoders = sync.Pool{New: func() any {
	d := new(jsonDecoder)
	d.dec = json.NewDecoder(d)
	return d
}}

// A jsonDecoder is a json.Decoder, and the body that it reads.
type jsonDecoder struct {
	dec  *json.Decoder
	body []byte
}

// Read implements io.Reader.
func (d *jsonDecoder) Read(p []byte) (int, error) {
	n := copy(p, d.body)
	d.body = d.body[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// unmarshalJSON does what json.Unmarshal does with a body that a JSONScanner has found
// the end of. Such a body, if it is an object or a list, and valid, ends where a
// json.Decoder sees its end.
func unmarshalJSON(body []byte, v any) error {
	if len(body) > maxKeptDecode || !inBrackets(body) {
		return json.Unmarshal(body, v)
	}
	d := jsonDecoders.Get().(*jsonDecoder)
	d.body = body
	before := d.dec.InputOffset()
	err := d.dec.Decode(v)
	d.body = nil
	switch {
	case err == nil:
	case !json.Valid(body): // nothing has been decoded, and the error counts what d has decoded before
		return json.Unmarshal(body, v)
	default:
		return err // and d may be of no use any more
	}
	if d.dec.InputOffset()-before != int64(len(body)) { // never, or the next body would begin with the rest
		return json.Unmarshal(body, v)
	}
	jsonDecoders.Put(d)
	return nil
}

// inBrackets reports whether a body begins and ends like an object or a list.
func inBrackets(body []byte) bool {
	for _, first := range body {
		switch first {
		case ' ', '\t', '\r', '\n': // before the body
		case '{':
			return body[len(body)-1] == '}'
		case '[':
			return body[len(body)-1] == ']'
		default:
			return false
		}
	}
	return false
}
