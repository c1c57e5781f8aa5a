package codec

import (
	"math"
	"slices"
)

// parse reads a header of the form that our own encoders and GeeRPC's write. It
// reports false for any other, valid or not: a field that is unknown, out of order or
// there twice, white space inside, a character that is escaped or not ASCII.
func (jh *jsonHeader) parse(data []byte, n *names) bool {
	p := jsonParser{data: data}
	p.skipSpace()
	p.expect("{")
	p.first = true
	if p.field(`,"ServiceMethod":`) {
		jh.ServiceMethod = n.name(p.text())
	}
	if p.field(`,"Seq":`) {
		jh.Seq = p.number(math.MaxUint64)
	}
	if p.field(`,"Error":`) {
		jh.Error = string(p.text())
	}
	if p.field(`,"Kind":`) {
		jh.Kind = p.kind()
	}
	if p.field(`,"Timeout":`) {
		jh.Timeout = int64(p.number(math.MaxInt64))
	}
	if p.field(`,"Code":`) {
		jh.Code = uint8(p.number(math.MaxUint8))
	}
	if p.field(`,"Where":`) {
		jh.Where = uint8(p.number(math.MaxUint8))
	}
	if p.field(`,"Ran":`) {
		jh.Ran = uint8(p.number(math.MaxUint8))
	}
	if p.field(`,"Metadata":`) {
		jh.Metadata = p.metadata()
	}
	p.expect("}")
	return !p.failed && len(p.data) == 0
}

// A jsonParser takes what it expects off the front of a header. Once that has
// failed, data is empty, and all that it returns is zero.
type jsonParser struct {
	data   []byte
	first  bool // no field has been seen
	failed bool
}

func (p *jsonParser) fail() { p.data, p.failed = nil, true }

// skip skips what is given, and reports whether it was there.
func (p *jsonParser) skip(s string) bool {
	if len(p.data) < len(s) || string(p.data[:len(s)]) != s {
		return false
	}
	p.data = p.data[len(s):]
	return true
}

func (p *jsonParser) expect(s string) {
	if !p.skip(s) {
		p.fail()
	}
}

// skipSpace skips what may precede a header.
func (p *jsonParser) skipSpace() {
	for p.skip("\n") || p.skip("\r") || p.skip(" ") || p.skip("\t") {
	}
}

// field skips the beginning of a field, if it is that one. The first has no comma.
func (p *jsonParser) field(name string) bool {
	if p.first {
		name = name[1:]
	}
	found := p.skip(name)
	p.first = p.first && !found
	return found
}

// text returns what is in a string.
func (p *jsonParser) text() []byte {
	p.expect(`"`)
	for i, b := range p.data {
		if b == '"' {
			text := p.data[:i]
			p.data = p.data[i+1:]
			return text
		}
		if !standsForItself(b) {
			break
		}
	}
	p.fail()
	return nil
}

// number returns a whole number of up to max. Whatever follows its digits is up to
// the caller.
func (p *jsonParser) number(max uint64) (x uint64) {
	n := 0
	for ; n < len(p.data) && '0' <= p.data[n] && p.data[n] <= '9'; n++ {
		digit := uint64(p.data[n] - '0')
		if x > (max-digit)/10 {
			p.fail()
			return 0
		}
		x = 10*x + digit
	}
	if n == 0 || n > 1 && p.data[0] == '0' {
		p.fail()
		return 0
	}
	p.data = p.data[n:]
	return x
}

// kind returns the name of a kind that is known.
func (p *jsonParser) kind() string {
	text := p.text()
	i := slices.IndexFunc(kindNames[:], func(name string) bool { return name == string(text) })
	if i < 0 {
		p.fail()
		return ""
	}
	return kindNames[i]
}

// metadata returns the pairs of an object that is not empty.
func (p *jsonParser) metadata() jsonMetadata {
	if len(p.data) > maxJSONMetadata {
		p.fail()
	}
	m := make(jsonMetadata)
	p.expect("{")
	for !p.failed {
		key := p.text()
		p.expect(":")
		m[string(key)] = string(p.text())
		if p.skip("}") {
			break
		}
		p.expect(",")
	}
	return m
}
