package codec

import (
	"encoding"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"geerpc/internal/nesting"
)

// A gobWriter appends gob values to messages, as one persistent stream.
//
// On such a stream a type is defined once, before its first value. A value
// that turns out not to be encodable, or too large, must not take definitions
// with it when it is dropped, and no value may be encoded twice: a user's
// encoder may have drained what it encodes, or fail the second time.
//
// What helps is that the ids of types are the same in the whole process. So
// the output of any encoder fits any stream that has had the definitions. The
// writer keeps count of those itself, takes them out of what an encoder has
// written, and puts the new ones in front of the value. It can throw an encoder
// away at any time: the next one repeats the definitions, and the writer
// leaves them out.
type gobWriter struct {
	schema gobSchema    // the types that the peer has been told
	enc    *gob.Encoder // of values without a plan; nil: the next one makes it

	types map[reflect.Type]*gobWritten
	last  reflect.Type // of the latest value
	entry *gobWritten  // its entry in types

	drafts []gobDraft // of this message
	begun  bool       // there is something to keep, or to drop

	out      []byte // where the encoder writes, behind what is there
	sections int    // that it has written
}

// A gobWritten is what a writer knows of the type of values.
type gobWritten struct {
	interfaces bool       // a value may bring a new type in an interface
	plain      bool       // there may be a plan
	fields     []gobField // its fields
	plan       *gobPlan   // nil: gob has to write the value
}

// A gobDraft is a plan for values of a type whose definition has not been sent.
type gobDraft struct {
	entry *gobWritten
	plan  *gobPlan
}

// Write implements io.Writer for an encoder. Gob writes sections one by one.
func (g *gobWriter) Write(p []byte) (int, error) {
	g.out = append(g.out, p...)
	g.sections++
	return len(p), nil
}

// append appends v to dst. A value that takes more than room bytes (0: no
// limit) may fail at once. Keep must follow, or drop.
func (g *gobWriter) append(dst []byte, v any, room int) ([]byte, error) {
	entry := g.entryFor(reflect.TypeOf(v))
	if entry.plan != nil {
		if s := structOf(v); s.IsValid() {
			return entry.plan.append(dst, s), nil
		}
	}
	v = pointee(v)
	if err := gobNesting.Check(v, room); err != nil {
		return dst, err
	}
	g.begun = true
	start := len(dst)
	message, err := g.encode(dst, v, entry.plain)
	if err == nil && (g.sections > 1 || entry.interfaces) {
		message, start, err = g.define(message, start, !entry.interfaces)
	}
	if err != nil {
		return dst, err
	}
	if entry.plain {
		g.drafts = append(g.drafts, gobDraft{entry, planToWrite(entry.fields, message[start:])})
	}
	return message, nil
}

// keep says that the message is on its way to the peer, which has read what
// came with it when it reads the next one.
func (g *gobWriter) keep(message []byte) {
	if !g.begun {
		return
	}
	for _, d := range g.drafts {
		d.entry.plan = d.plan
	}
	g.schema.keep()
	if len(message) > keepScratch { // the encoder has a buffer as large
		g.enc = nil
	}
	g.drafts, g.begun = nil, false
}

// drop forgets what has been appended since keep was called, if anything.
func (g *gobWriter) drop() {
	if !g.begun {
		return
	}
	g.schema.takeBack()
	g.enc, g.out = nil, nil
	g.drafts, g.begun = nil, false
}

func (g *gobWriter) entryFor(t reflect.Type) *gobWritten {
	if t == g.last && g.entry != nil {
		return g.entry
	}
	entry := g.types[t]
	if entry == nil {
		if g.types == nil {
			g.types = make(map[reflect.Type]*gobWritten)
			g.schema.repeats = true
		}
		entry = &gobWritten{interfaces: holdsInterface(t)}
		entry.fields, entry.plain = plainFields(nesting.Base(t))
		g.types[t] = entry
	}
	g.last, g.entry = t, entry
	return entry
}

// encode appends what an encoder writes. One that is used only once need not
// stay: the values to come have a plan. The encoder's panics (a user's
// GobEncode) become errors: they must cost one call, not the process.
func (g *gobWriter) encode(dst []byte, v any, once bool) (_ []byte, err error) {
	enc := g.enc
	if enc == nil || once {
		enc = gob.NewEncoder(g)
	}
	if !once {
		g.enc = enc
	}
	g.out, g.sections = dst, 0
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: encoding %T panicked: %v", v, p)
		}
	}()
	err = enc.Encode(v)
	dst, g.out = g.out, nil
	return dst, err
}

// define puts in place of what an encoder wrote, from start on, the definitions
// that are new, and then the value in one section. It returns where that starts.
// Without interfaces, all definitions come first as it is.
func (g *gobWriter) define(dst []byte, start int, simple bool) ([]byte, int, error) {
	written := dst[start:]
	v, definitions, err := g.schema.scan((*gobSections)(&written), 0, simple)
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

// pointee returns what gob can encode in place of v: the last of many pointers,
// for gob lets methods of the type have the wrong one, and in place of one that
// is nil a pointer to the zero value, which gob sends as far as it can.
func pointee(v any) any {
	r := reflect.ValueOf(v)
	for range nesting.MaxPointers {
		if r.Kind() != reflect.Pointer || r.IsNil() || r.Elem().Kind() != reflect.Pointer {
			break
		}
		r = r.Elem()
	}
	if r.Kind() != reflect.Pointer || !r.IsNil() {
		return r.Interface()
	}
	return reflect.New(nesting.Base(r.Type())).Interface()
}

// A gobReader reads gob values from sections that have been scanned, as one
// persistent stream.
type gobReader struct {
	schema gobSchema
	dec    *gob.Decoder
	in     gobInput
	plans  map[gobRoute]*gobPlan // nil: gob reads them
	last   gobRoute              // the latest of them
	plan   *gobPlan              // and its plan
}

// A gobRoute is where values go: from a type of the peer's to one of ours.
type gobRoute struct {
	id int
	to reflect.Type
}

// scan finds the next value and learns the definitions that come with it, so
// that nothing is lost if the value is skipped or can't be decoded.
// An error ends the stream.
func (g *gobReader) scan(src gobSource, off int) (gobValue, error) {
	v, definitions, err := g.schema.scan(src, off, false)
	if err != nil || len(definitions) == 0 {
		return v, err
	}
	err = g.decode(definitions, new(struct{}))
	if !errors.Is(err, io.ErrUnexpectedEOF) { // a value would have to follow
		return v, fmt.Errorf("%w: gob type definition: %w", ErrCorrupt, err)
	}
	return v, nil
}

// decode decodes the section of a value into v, or skips it if v is nil.
func (g *gobReader) decode(section []byte, v any) (err error) {
	if v == nil || g.decodePlain(section, v) {
		return nil
	}
	if g.dec == nil {
		g.dec = gob.NewDecoder(&g.in)
	}
	g.in = section
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: decoding into %T panicked: %v", v, p)
		}
		g.in = nil
		if len(section) > keepScratch {
			g.forget()
		}
	}()
	return g.dec.Decode(v)
}

// forget has the decoder read a short value: it keeps the latest one.
func (g *gobReader) forget() {
	g.in = gobInput{3, gobBool << 1, 0, 0}
	g.dec.DecodeValue(reflect.Value{})
	g.in = nil
}

// decodePlain decodes the section of a value for which there is a plan, or
// reports false. What it decodes need not have been scanned.
func (g *gobReader) decodePlain(section []byte, v any) bool {
	to := structOf(v)
	if !to.CanSet() {
		return false
	}
	r := plainReader{data: section}
	if length := r.uint(); length != uint64(len(r.data)) {
		return false
	}
	route := gobRoute{r.int(), to.Type()}
	if route != g.last {
		plan, known := g.plans[route]
		if !known {
			peers := g.schema.types[route.id]
			if peers == nil {
				return false // a peer could go on inventing ids
			}
			plan = planToRead(peers, route.to)
			if g.plans == nil {
				g.plans = make(map[gobRoute]*gobPlan)
			}
			g.plans[route] = plan
		}
		g.last, g.plan = route, plan
	}
	return g.plan != nil && g.plan.read(r.data, to)
}

// structOf returns the struct that v is or points to, or else an invalid Value.
func structOf(v any) reflect.Value {
	s := reflect.ValueOf(v)
	if s.Kind() == reflect.Pointer {
		s = s.Elem()
	}
	if s.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return s
}

// A gobInput is the bytes of one value. It is an io.ByteReader, so that the
// decoder takes it as it is and reads nothing ahead.
type gobInput []byte

// Read implements io.Reader.
func (b *gobInput) Read(p []byte) (int, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, *b)
	*b = (*b)[n:]
	return n, nil
}

// ReadByte implements io.ByteReader.
func (b *gobInput) ReadByte() (byte, error) {
	if len(*b) == 0 {
		return 0, io.EOF
	}
	c := (*b)[0]
	*b = (*b)[1:]
	return c, nil
}

var interfaceHolders sync.Map // reflect.Type → bool

// holdsInterface tells whether a value of type t may hold an interface value
// somewhere, and with it a type that gob defines on the way.
func holdsInterface(t reflect.Type) bool {
	if known, ok := interfaceHolders.Load(t); ok {
		return known.(bool)
	}
	found := findInterface(t, make(map[reflect.Type]bool))
	interfaceHolders.Store(t, found)
	return found
}

func findInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] || nesting.Implements(t, gobEncoders) {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return findInterface(t.Key(), seen) || findInterface(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return findInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && findInterface(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// Gob leaves the values of types with these methods to the methods.
var gobEncoders = []reflect.Type{reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler]()}

// gobNesting is how gob goes through values. For a pointer to a nil pointer
// inside an interface it sends nothing at all, and a decoder takes what follows
// for the value.
var gobNesting = nesting.Rule{
	MaxDepth:       maxGobDepth,
	TooDeep:        errTooDeep,
	Encoders:       gobEncoders,
	Encoded:        func(f reflect.StructField) bool { return f.IsExported() },
	NilInInterface: errors.New("gob: cannot encode a nil pointer inside an interface"),
}

// errTooDeep says which limit a gob value exceeds.
var errTooDeep = fmt.Errorf("%w, %d levels are allowed in gob", ErrTooDeep, maxGobDepth)
