package codec_test

import (
	"encoding/json"
	"strings"
	"testing"

	"geerpc/codec"
)

// TestA111_NilConstructor registers names without a constructor. Lookup must
// refuse them, and must not list them among the registered codecs.
func TestA111_NilConstructor(t *testing.T) {
	const name codec.Type = "test/nil"
	t.Cleanup(func() { delete(codec.NewCodecFuncMap, name) })
	ways := map[string]func(){
		"Register":                   func() { codec.Register(name, nil) },
		"the map":                    func() { codec.NewCodecFuncMap[name] = nil },
		"Framed without marshal":     func() { codec.Register(name, codec.Framed(nil, json.Unmarshal)) },
		"Framed without unmarshal":   func() { codec.Register(name, codec.Framed(json.Marshal, nil)) },
		"in place of one that works": func() { codec.Register(name, codec.NewJSONCodec); codec.Register(name, nil) },
	}
	for way, register := range ways {
		t.Run(way, func(t *testing.T) {
			delete(codec.NewCodecFuncMap, name)
			register()
			f, err := codec.Lookup(name)
			wantIs(t, err, codec.ErrUnknownType)
			if f != nil || strings.Count(err.Error(), string(name)) != 1 || !strings.Contains(err.Error(), "constructor is nil") {
				t.Errorf("Lookup returned %p, %v", f, err)
			}
			if _, err := codec.Lookup("test/nobody"); strings.Contains(err.Error(), string(name)) {
				t.Errorf("the list of codecs has one that is none: %v", err)
			}
			codec.Register(name, codec.NewJSONCodec)
			if f, err := codec.Lookup(name); f == nil || err != nil {
				t.Errorf("once it has a constructor: %p, %v", f, err)
			}
		})
	}
}
