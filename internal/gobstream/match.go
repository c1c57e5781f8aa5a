package gobstream

// maxSteps limits how many parts of types a Reader compares. A peer can define thousands
// of types that hold each other, and then each of them has to be compared as a whole. The
// types of a program have far fewer parts.
const maxSteps = 1 << 13

// A converter finds the plans that decode values of a peer's types.
type converter struct {
	schema *schema
	steps  int // made so far
}

// plan returns the plan that decodes values of a type of the peer's: p itself, if that
// type is ours, or else one with the peer's fields. It returns nil if gob has to decode
// the values, or to say why it can't.
func (v *converter) plan(p *plan, id int) *plan {
	if v.same(p, id, make(map[match]bool)) {
		return p
	}
	m := adapter{converter: v, made: make(map[match]*plan)}
	adapted := m.adapt(p, id)
	if m.failed {
		return nil
	}
	return adapted
}

// step reports whether another part of a type may be compared.
func (v *converter) step() bool {
	v.steps++
	return v.steps <= maxSteps
}

// A match is a plan for a type of the peer's.
type match struct {
	plan *plan
	id   int
}

// formOfKind is the form of values whose type is defined as a kind.
var formOfKind = [numKinds]form{arrayForm, sliceForm, structForm, mapForm, coderForm, coderForm, coderForm}

// fits reports whether values of a peer's type look as p expects, but for their parts.
func (p *plan) fits(peers *typeDef) bool {
	switch {
	case peers == nil:
		return false
	case p.form == textMapForm:
		return peers.kind == mapKind
	case p.form == coderForm:
		return peers.kind == p.coder.kind
	case p.form == arrayForm && peers.kind == arrayKind:
		return peers.length == p.t.Len()
	}
	return p.form == formOfKind[peers.kind]
}

// parts returns the plans for the parts of an element, or of an entry.
func (p *plan) parts() []*plan {
	switch p.form {
	case sliceForm, arrayForm:
		return []*plan{p.elem}
	case mapForm, textMapForm:
		return []*plan{p.key, p.elem}
	}
	return nil
}

// same reports whether a type of the peer's is exactly the type of p. Those that have
// been compared, or are being compared, are in seen: what differs ends it all.
func (v *converter) same(p *plan, id int, seen map[match]bool) bool {
	for p.form == pointerForm {
		p = p.elem
	}
	if p.form < structForm {
		return int(p.form) == id
	}
	if seen[match{p, id}] {
		return true
	}
	seen[match{p, id}] = true
	peers := v.schema.types[id]
	if !v.step() || !p.fits(peers) || len(peers.names) != len(p.fields) {
		return false
	}
	for i, f := range p.fields {
		if f.name != peers.names[i] || !v.same(f.plan, peers.parts[i], seen) {
			return false
		}
	}
	for i, part := range p.parts() {
		if !v.same(part, peers.parts[i], seen) {
			return false
		}
	}
	return true
}

// An adapter makes a plan for a type of the peer's of a plan for one of ours.
type adapter struct {
	*converter
	made   map[match]*plan // some of them unfinished: a type may hold itself
	failed bool
}

func (m *adapter) adapt(p *plan, id int) *plan {
	if known := m.made[match{p, id}]; known != nil {
		return known
	}
	adapted := *p
	m.made[match{p, id}] = &adapted
	if m.failed = m.failed || !m.step(); !m.failed {
		m.complete(&adapted, id)
	}
	return &adapted
}

// complete replaces the parts of a plan, which is a copy of ours.
func (m *adapter) complete(p *plan, id int) {
	if p.form == pointerForm {
		p.elem = m.adapt(p.elem, id)
		return
	}
	if p.form < structForm {
		m.failed = m.failed || int(p.form) != id
		return
	}
	peers := m.schema.types[id]
	if m.failed = m.failed || !p.fits(peers); m.failed {
		return
	}
	switch p.form {
	case structForm:
		m.fields(p, peers)
	case mapForm, textMapForm:
		p.key, p.elem = m.adapt(p.key, peers.parts[0]), m.adapt(p.elem, peers.parts[1])
	case sliceForm, arrayForm:
		p.elem = m.adapt(p.elem, peers.parts[0])
	}
}

// fields gives the plan for a struct the fields of the peer's.
func (m *adapter) fields(p *plan, peers *typeDef) {
	fields := make([]field, 0, len(peers.names))
	known := 0
	for i, name := range peers.names {
		if f := p.field(name); f != nil {
			known++
			fields = append(fields, field{name, f.offset, m.adapt(f.plan, peers.parts[i])})
		} else {
			fields = append(fields, field{name, 0, m.ignore(peers.parts[i])})
		}
	}
	m.failed = m.failed || known == 0 // gob says that the types have nothing in common
	p.fields = fields
}

// ignore returns a plan for values that are decoded into nothing.
func (m *adapter) ignore(id int) *plan {
	m.failed = m.failed || !m.ignorable(id, make(map[int]bool))
	return &plan{form: ignoredForm, ignored: &ignored{m.schema, id}}
}

// field returns the field of a name, or nil.
func (p *plan) field(name string) *field {
	for i := range p.fields {
		if f := &p.fields[i]; f.name == name {
			return f
		}
	}
	return nil
}
