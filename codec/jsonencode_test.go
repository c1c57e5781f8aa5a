package codec_test

import (
	"errors"
	"runtime"
	"testing"

	"geerpc/codec"
)

// A rude value misbehaves when it is encoded.
type rude struct{ how string }

func (r rude) MarshalJSON() ([]byte, error) {
	switch r.how {
	case "panics":
		panic(r.how)
	case "exits":
		runtime.Goexit()
	case "is not JSON":
		return []byte(`{"half`), nil
	}
	return nil, errors.New(r.how)
}

// TestJSON_EncoderSurvives: bodies behind one that could not be encoded are sent as they
// are. Nothing of that one is.
func TestJSON_EncoderSurvives(t *testing.T) {
	each(t, []layout{jsonPlain, jsonExtended}, func(t *testing.T, l layout) {
		w := l.writer(1 << 10)
		r := l.reader(w.out, 0)
		for _, how := range []string{"panics", "exits", "fails", "is not JSON"} {
			for _, body := range []any{rude{how}, []any{"a", map[string]any{"b": &rude{how}}}} {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { recover() }()
					if err := w.Write(&codec.Header{ServiceMethod: "Service.Method", Seq: 7}, body); err == nil {
						t.Errorf("%T that %s was written", body, how)
					}
				}()
				<-done
				if w.out.Len() > 0 {
					t.Fatalf("%q was sent", w.out)
				}
				send(t, w, plain{Name: how})
				if got := receive[plain](t, r); got.Name != how {
					t.Errorf("got %+v, want %q", got, how)
				}
			}
		}
	})
}
