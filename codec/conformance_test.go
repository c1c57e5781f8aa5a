package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"geerpc/codec"
	"geerpc/codec/codectest"
)

// TestConformance runs package codectest over the codecs of this package.
func TestConformance(t *testing.T) {
	t.Run("gob", func(t *testing.T) { codectest.Run(t, codec.NewGobCodec) })
	t.Run("json", func(t *testing.T) { codectest.Run(t, codec.NewJSONCodec) })
	t.Run("framed json", func(t *testing.T) { codectest.Run(t, codec.Framed(json.Marshal, json.Unmarshal)) })
	t.Run("framed bytes", func(t *testing.T) { codectest.Run(t, newRawCodec, rawValues) })
}

// newRawCodec makes codecs whose bodies are []byte.
var newRawCodec = codec.Framed(marshalRaw, unmarshalRaw)

func marshalRaw(v any) ([]byte, error) {
	switch v := v.(type) {
	case []byte:
		return v, nil
	case *[]byte:
		return *v, nil
	}
	return nil, fmt.Errorf("can't marshal a %T", v)
}

func unmarshalRaw(data []byte, v any) error {
	p, ok := v.(*[]byte)
	if !ok {
		return errors.New("not a *[]byte")
	}
	*p = bytes.Clone(data)
	return nil
}

var rawValues = &codectest.Values{
	New:   func(n int) any { return bytes.Repeat([]byte{byte(n)}, n) },
	Equal: func(got, want any) bool { return bytes.Equal(rawBytes(got), rawBytes(want)) },
}

func rawBytes(v any) []byte {
	b, _ := marshalRaw(v)
	return b
}
