package codec

import (
	"encoding/json"
	"sync"
)

// jsonEncoders are encoders to be used again, by any connection.
var jsonEncoders = sync.Pool{New: func() any {
	e := new(jsonEncoder)
	e.enc = json.NewEncoder(e)
	e.enc.SetEscapeHTML(false)
	return e
}}

// A jsonEncoder is a json.Encoder, and what it appends to.
type jsonEncoder struct {
	enc *json.Encoder
	out []byte
}

// Write implements io.Writer.
func (e *jsonEncoder) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

// appendJSON appends v as package encoding/json writes it, without escaping HTML, and
// a newline.
func appendJSON(dst []byte, v any) ([]byte, error) {
	e := jsonEncoders.Get().(*jsonEncoder)
	e.out = dst
	if err := e.enc.Encode(v); err != nil { // or v panics: then e is dropped
		return dst, err
	}
	dst, e.out = e.out, nil
	jsonEncoders.Put(e)
	return dst, nil
}
