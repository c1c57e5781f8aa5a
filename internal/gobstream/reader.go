package gobstream

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"

	"geerpc/internal/wire"
)

// A Reader decodes the values of one stream. The zero Reader is ready to use, by
// one goroutine at a time.
type Reader struct {
	schema  schema
	message complete // of Decode

	dec         *gob.Decoder // decodes values without a plan; nil until there is one
	input       input        // of dec
	definitions []byte       // not yet fed to dec
	err         error        // why dec is of no use: it has refused definitions

	converter converter
	plans     map[conversion]*plan // nil: gob decodes the values
	last      conversion           // of the latest value
	lastPlan  *plan                // its entry in plans
}

// A conversion is from a type of the peer's to one of ours.
type conversion struct {
	id int
	to reflect.Type
}

// LimitDefinitions limits the bytes of definitions on the stream; 0: no limit.
// More end the stream with ErrDefinitions.
func (r *Reader) LimitDefinitions(n int) { r.schema.limit = n }

// Decode decodes a message, a value and its definitions and nothing else, into
// the pointer v. If v is nil, it skips the value.
func (r *Reader) Decode(message []byte, v any) error {
	if v != nil && r.decodePlanned(message, v) {
		return nil
	}
	r.message = message
	value, err := r.Scan(&r.message, 0, 0)
	r.message = nil
	switch {
	case err != nil:
		return err
	case value.err != nil:
		return value.err
	case value.end < len(message):
		return fmt.Errorf("%w: %d bytes behind the gob value", wire.ErrCorrupt, len(message)-value.end)
	}
	return r.DecodeScanned(value, message, v)
}

// Scan finds the value at offset off of src, for DecodeScanned, and learns the
// definitions that come with it. So none is lost if the value is skipped or
// can't be decoded. Nothing is read beyond max bytes of src (0: no limit).
// An error ends the stream.
func (r *Reader) Scan(src Source, off, max int) (Value, error) {
	v, definitions, err := r.schema.scan(sections{src, max}, off, false)
	if err == nil {
		r.definitions = append(r.definitions, definitions...)
	}
	return v, err
}

// DecodeScanned decodes a value into the pointer v. Stream is the bytes of the
// source of Scan. If v is nil, it skips the value. An error concerns the value
// alone.
func (r *Reader) DecodeScanned(value Value, stream []byte, v any) error {
	if value.err != nil || v == nil {
		return value.err
	}
	section := value.section(stream)
	if r.decodePlanned(section, v) {
		return nil
	}
	return r.decode(section, v)
}

// decode has gob decode a section. Definitions are fed to gob only here, before the first
// value that needs it: its decoder takes some 6 KiB, and most streams never need it.
func (r *Reader) decode(section []byte, v any) error {
	if len(r.definitions) > 0 {
		err := r.feed(r.definitions, new(struct{}))
		if !errors.Is(err, io.ErrUnexpectedEOF) { // gob's error for definitions without a value: they are fine
			r.err = fmt.Errorf("%w: gob type definition: %w", wire.ErrCorrupt, err)
		}
		r.definitions = nil
	}
	if r.err != nil {
		return r.err
	}
	return r.feed(section, v)
}

// feed has gob's decoder read sections. A panic of the decoder (in a user's GobDecode)
// becomes an error.
func (r *Reader) feed(sections []byte, v any) (err error) {
	if r.dec == nil {
		r.dec = gob.NewDecoder(&r.input)
	}
	r.input = sections
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: decoding into %T panicked: %v", v, p)
		}
		r.input = nil
		if len(sections) > keepBuffer {
			r.releaseBuffer()
		}
	}()
	return r.dec.Decode(v)
}

// releaseBuffer makes the decoder read a short value: it keeps the buffer of the
// latest one.
func (r *Reader) releaseBuffer() {
	r.input = input{3, boolID << 1, 0, 0}
	r.dec.DecodeValue(reflect.Value{})
	r.input = nil
}

// decodePlanned decodes the section of a value for which there is a plan, or
// returns false. The section need not have been scanned.
func (r *Reader) decodePlanned(section []byte, v any) bool {
	to := target(v)
	if !to.CanSet() {
		return false
	}
	c := cursor{data: section}
	if length := c.uint(); length != uint64(c.left()) {
		return false
	}
	p := r.planFor(conversion{c.int(), to.Type()})
	return p != nil && p.readSection(&c, addressOf(to.Addr()))
}

// planFor returns the plan for a conversion, or nil if there is none. For types
// that are not defined nothing is remembered: a peer could go on inventing ids.
func (r *Reader) planFor(via conversion) *plan {
	if via == r.last {
		return r.lastPlan
	}
	p, known := r.plans[via]
	if !known {
		if via.id >= firstDefinedID && r.schema.types[via.id] == nil || via.id <= 0 {
			return nil
		}
		if p = planOf(via.to); p != nil {
			r.converter.schema = &r.schema
			p = r.converter.plan(p, via.id)
		}
		if r.plans == nil {
			r.plans = make(map[conversion]*plan)
		}
		r.plans[via] = p
	}
	r.last, r.lastPlan = via, p
	return p
}

// input is the bytes that a decoder is to read. It is an io.ByteReader, so that
// the decoder reads it directly and never ahead.
type input []byte

// Read implements io.Reader.
func (b *input) Read(p []byte) (int, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, *b)
	*b = (*b)[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (b *input) ReadByte() (byte, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	c := (*b)[0]
	*b = (*b)[1:]
	return c, nil
}
