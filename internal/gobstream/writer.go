package gobstream

import (
	"encoding/gob"
	"fmt"
	"reflect"
)

// keepBuffer is how large a value may be for gob to keep its buffer.
const keepBuffer = 64 << 10

// A Writer appends values to messages, as one stream. The zero Writer is ready
// to use, by one goroutine at a time.
//
// What has been appended belongs to one message, until Sent or Drop says what
// has become of it.
type Writer struct {
	schema schema
	enc    *gob.Encoder // of values without a plan; nil: made for the next one

	types    map[reflect.Type]*writtenType
	lastType reflect.Type // of the latest value
	last     *writtenType // its entry in types

	drafts   []draft // for types that are new with this message
	modified bool    // gob has encoded a value of this message

	output   []byte // of enc
	sections int    // that enc has written to output
}

// A writtenType is what a Writer knows about values of a type.
type writtenType struct {
	interfaces bool  // they may bring new types, inside interfaces
	plan       *plan // nil: gob encodes them
	id         int   // of the type on the stream; 0: the plan must wait until gob has defined it
	lengthSize int   // bytes that the length of a section took, the latest time

	copied reflect.Value // a pointer to a copy of a value, while that is being encoded
}

// address returns where the plan finds v, or nil if gob must encode it.
func (t *writtenType) address(v any) address {
	r := reflect.ValueOf(v)
	switch {
	case r.Kind() == reflect.Pointer:
		return addressOf(r)
	case t.plan.addressed:
		return address{} // gob refuses it
	case !t.copied.IsValid():
		t.copied = reflect.New(r.Type())
	}
	t.copied.Elem().Set(r)
	return addressOf(t.copied)
}

// forget drops the copy of a value, which may lead to much memory. The memory of the copy
// itself is kept for the next one, if it is not much.
func (t *writtenType) forget() {
	switch {
	case !t.copied.IsValid():
	case t.plan.size > keepBuffer:
		t.copied = reflect.Value{}
	default:
		t.copied.Elem().SetZero()
	}
}

// A draft is the id of a type whose definition has not been sent.
type draft struct {
	of *writtenType
	id int
}

// LimitDefinitions limits the bytes of definitions on the stream; 0: no limit.
// A value that needs more is refused with ErrDefinitions.
func (w *Writer) LimitDefinitions(n int) { w.schema.limit = n }

// Append appends v, and the definitions that it needs, to dst. It may refuse a
// value that takes more than room bytes (0: no limit). Sent or Drop must follow.
func (w *Writer) Append(dst []byte, v any, room int) ([]byte, error) {
	t := w.typeOf(v)
	if t.id != 0 {
		if at := t.address(v); !at.isNil() {
			defer t.forget()
			return t.appendSection(dst, at, room)
		}
	}
	v = encodable(v)
	if err := nestingRule.Check(v, room); err != nil {
		return dst, err
	}
	w.modified = true
	start := len(dst)
	message, err := w.encode(dst, v, t.plan != nil)
	if err == nil && (w.sections > 1 || t.interfaces) {
		message, start, err = w.define(message, start, !t.interfaces)
	}
	if err != nil {
		return dst, err
	}
	if t.plan != nil {
		w.drafts = append(w.drafts, draft{t, idOf(message[start:])})
	}
	return message, nil
}

// Sent says that the message is on its way to the peer: later messages need not
// repeat its definitions.
func (w *Writer) Sent(message []byte) {
	if !w.modified {
		return
	}
	for _, d := range w.drafts {
		d.of.id = d.id
	}
	w.schema.commit()
	if len(message) > keepBuffer { // the encoder has a buffer of that size
		w.enc = nil
	}
	w.drafts, w.modified = nil, false
}

// Drop says that what has been appended since the last Sent is not going to be
// sent. It may be called even if there is nothing of the kind.
func (w *Writer) Drop() {
	if !w.modified {
		return
	}
	w.schema.rollback()
	w.enc, w.output = nil, nil
	w.drafts, w.modified = nil, false
}

func (w *Writer) typeOf(v any) *writtenType {
	t := reflect.TypeOf(v)
	if t == w.lastType && w.last != nil {
		return w.last
	}
	known := w.types[t]
	if known == nil {
		if w.types == nil {
			w.types = make(map[reflect.Type]*writtenType)
			w.schema.writing = true
		}
		known = &writtenType{interfaces: holdsInterface(t), lengthSize: 1}
		if of := targetType(t); of != nil && of.Kind() != reflect.Pointer { // gob goes through several pointers in its own way
			known.plan = planOf(of)
		}
		w.types[t] = known
	}
	w.lastType, w.last = t, known
	return known
}

// encode appends what an encoder writes for v. An encoder that is needed only
// once is not kept: the next values have a plan. A panic of the encoder (in a
// user's GobEncode) becomes an error: it must cost one call, not the process.
func (w *Writer) encode(dst []byte, v any, once bool) (_ []byte, err error) {
	enc := w.enc
	if enc == nil || once {
		enc = gob.NewEncoder((*encoderOutput)(w))
	}
	if !once {
		w.enc = enc
	}
	w.output, w.sections = dst, 0
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: encoding %T panicked: %v", v, p)
		}
	}()
	err = enc.Encode(v)
	dst, w.output = w.output, nil
	return dst, err
}

// encoderOutput is the Writer as its encoder sees it.
type encoderOutput Writer

// Write implements io.Writer. Gob calls it once for each section.
func (o *encoderOutput) Write(p []byte) (int, error) {
	o.output = append(o.output, p...)
	o.sections++
	return len(p), nil
}

// define replaces what an encoder has written to dst, from start on, by the
// definitions that are new and the value in a single section, and returns where
// that starts. Without interfaces the output is trusted: gob puts all
// definitions in front.
func (w *Writer) define(dst []byte, start int, trusted bool) ([]byte, int, error) {
	written := dst[start:]
	v, definitions, err := w.schema.scan(sections{src: (*complete)(&written)}, 0, trusted)
	if err == nil {
		err = v.err
	}
	if err != nil || v.start == 0 && len(v.edits) == 0 {
		return dst, start, err
	}
	dst = append(dst[:start:start], definitions...)
	at := len(dst)
	return v.appendTo(dst, written), at, nil
}
