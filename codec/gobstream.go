package codec

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"geerpc/internal/wire"
)

// A gobWriter appends gob values to a buffer, as one persistent stream.
//
// On such a stream a type is defined once, before its first value. A value
// that turns out not to be encodable, or to be too large, must therefore not
// take definitions with it when it is dropped. So a value whose encoding may
// define types is encoded beside the stream first: one of a type that is new
// to the stream, or one that may hold anything in an interface.
type gobWriter struct {
	enc     *gob.Encoder
	out     []byte
	latest  int                       // where in out the latest section starts: gob writes them one by one
	defined map[reflect.Type]*gobPlan // types that can't define anything any more; nil: gob writes them
	last    reflect.Type              // the latest of them
	plan    *gobPlan                  // and its plan
	broken  error                     // errBroken, and why
}

// Write implements io.Writer for the encoder.
func (g *gobWriter) Write(p []byte) (int, error) {
	g.latest = len(g.out)
	g.out = append(g.out, p...)
	return len(p), nil
}

// prepare makes sure that v can be encoded within room bytes (0: no limit), if
// encoding it may define types. It reports whether it can't.
func (g *gobWriter) prepare(v any, room int) (settled bool, err error) {
	if g.broken != nil {
		return false, g.broken
	}
	if g.isDefined(reflect.TypeOf(v)) {
		return true, nil
	}
	var n counter
	if err := encodeGob(gob.NewEncoder(&n), v); err != nil {
		return false, err
	}
	if wire.Exceeds(int(n), room) {
		return false, tooLarge(int(n), room)
	}
	return false, nil
}

// isDefined tells whether the stream has all definitions that values of type t
// may need. If so, g.plan is theirs.
func (g *gobWriter) isDefined(t reflect.Type) bool {
	if t != g.last {
		plan, ok := g.defined[t]
		if !ok {
			return false
		}
		g.last, g.plan = t, plan
	}
	return true
}

// encode appends v, which has been prepared, to dst. If it fails, nothing has
// been appended.
func (g *gobWriter) encode(dst []byte, v any, settled bool) ([]byte, error) {
	if settled && g.isDefined(reflect.TypeOf(v)) && g.plan != nil {
		if s := structOf(v); s.IsValid() {
			return g.plan.append(dst, s), nil
		}
	}
	if g.enc == nil {
		g.enc = gob.NewEncoder(g)
		g.defined = make(map[reflect.Type]*gobPlan)
	}
	start := len(dst)
	g.out = dst
	err := encodeGob(g.enc, v)
	dst, g.out = g.out, nil
	switch t := reflect.TypeOf(v); {
	case err == nil:
		if !settled && !holdsInterface(t) {
			g.defined[t] = planToWrite(t, dst[g.latest:])
		}
		return dst, nil
	case !settled: // it went well a moment ago
		g.broken = fmt.Errorf("%w: %w", errBroken, err)
		return dst[:start], g.broken
	}
	return dst[:start], err
}

// errBroken means that type definitions were lost: nothing can follow, and the
// connection is of no use.
var errBroken = errors.New("gob stream lost its type definitions")

// encodeGob turns the encoder's panics (a nil pointer, a user's GobEncode)
// into errors: they must cost one call, not the process.
func encodeGob(enc *gob.Encoder, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gob: encoding %T panicked: %v", v, p)
		}
	}()
	return enc.Encode(v)
}

// A counter counts what is written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
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
	v, definitions, err := g.schema.scan(src, off)
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
	}()
	return g.dec.Decode(v)
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
	if seen[t] {
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
			if findInterface(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
